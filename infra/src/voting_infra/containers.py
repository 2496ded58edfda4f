"""Kafka and PostgreSQL in containers."""

import logging
import math
import secrets
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import PurePosixPath

import docker
from docker.errors import APIError, NotFound, NullResource
from docker.models.containers import Container
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer
from testcontainers.core.labels import LABEL_SESSION_ID, SESSION_ID

from voting_infra.engine import engine_errors, fetch_image, open_engine
from voting_infra.exceptions import ChildExited, ImageError
from voting_infra.images import StackImages
from voting_infra.kafka import HEAP, kafka_answers, new_cluster_id, node_settings
from voting_infra.ports import LOOPBACK
from voting_infra.postgres import NAME, SERVER_SETTINGS, database_url, postgres_answers
from voting_infra.servers import Server, run_together
from voting_infra.supervisor import Supervisor

_log = logging.getLogger(__name__)

_CONTROLLER_PORT = 9093
_POSTGRES_PORT = 5432
_KAFKA_DATA = PurePosixPath("/var/lib/kafka/data")
_PORT_TAKEN = ("port is already allocated", "address already in use")


class ContainerServer(Server):
    """A server in a container, which `_configure` prepares."""

    def __init__(
        self, engine: docker.DockerClient, supervisor: Supervisor, image: str, timeout: float
    ) -> None:
        """Prepare a server that the engine runs from an image; the rest is as of `Server`."""
        super().__init__(supervisor, timeout)
        self.container_name = ""
        self._engine = engine
        self._image = image

    @abstractmethod
    def _configure(self, container: DockerContainer) -> int:
        """Configure the container for the server's port and return its port inside."""

    @property
    def container(self) -> Container:
        """Its container, in the state that it has now."""
        return self._engine.containers.get(self.container_name)

    @property
    def running(self) -> bool:
        """Whether its container runs (it may be paused)."""
        with engine_errors(self.name):
            return bool(self.container_name) and self.container.status in ("running", "paused")

    def remove(self) -> None:
        """Remove the container, if there is one, and its data, and leave its log.

        Raises:
            EngineError: The engine refuses.
        """
        with engine_errors(f"{self.name} cannot be removed"):
            try:
                self._save_log()
                self.container.remove(v=True, force=True)
            except (NotFound, NullResource):
                return
            except APIError as error:
                # Another process, such as Ryuk, is removing it.
                if error.status_code != 409:
                    raise

    def stop(self, timeout: float = 30.0) -> None:
        """Stop the server in an orderly way; kill it after the timeout, in seconds."""
        with engine_errors(f"{self.name} cannot be stopped"):
            self.resume()
            self.container.stop(timeout=math.ceil(timeout))

    def kill(self) -> None:
        """End the server at once, as a crash does."""
        with engine_errors(f"{self.name} cannot be killed"):
            # The engine does not kill what is paused.
            self.resume()
            container = self.container
            if container.status == "running":
                container.kill()
                container.wait()
                self._save_log()

    def pause(self) -> None:
        """Freeze the server: connections stay open and requests are not answered."""
        with engine_errors(f"{self.name} cannot be paused"):
            if self.container.status == "running":
                self.container.pause()

    def resume(self) -> None:
        """Let the server run again after `pause`."""
        with engine_errors(f"{self.name} cannot be resumed"):
            if self.container.status == "paused":
                self.container.unpause()

    def _begin(self) -> None:
        is_new = not self.container_name
        try:
            with engine_errors(f"{self.name} cannot be started from {self._image}"):
                if is_new:
                    self._make().start()
                else:
                    self.container.start()
        except Exception as error:
            if is_new:
                self.remove()
                self.container_name = ""
            if any(words in str(error) for words in _PORT_TAKEN):
                raise self._port_taken() from error
            raise

    def _make(self) -> DockerContainer:
        self.container_name = f"voting-{self.name.lower()}-{secrets.token_hex(6)}"
        container = DockerContainer(self._image, name=self.container_name)
        # A prefix for images of the hub does not belong to a name that has been found.
        container.image = self._image
        inside = self._configure(container)
        container.ports = {f"{inside}/tcp": (LOOPBACK, self._ports[0])}  # type: ignore[dict-item]
        return container

    def _check(self) -> None:
        if not self.running:
            with engine_errors(self.name):
                self._save_log()
                what = f"ended with exit status {self.container.attrs['State']['ExitCode']}"
            raise ChildExited(self.name, what, self.log_path)

    def _save_log(self) -> None:
        self.log_path.write_bytes(self.container.logs())


class ContainerKafka(ContainerServer):
    """A Kafka broker and controller in one container."""

    name = "Kafka"

    @cached_property
    def cluster_id(self) -> str:
        """The id of its cluster."""
        return new_cluster_id()

    @property
    def bootstrap_servers(self) -> str:
        """The broker's address, `host:port`."""
        return f"{LOOPBACK}:{self._ports[0]}"

    def _configure(self, container: DockerContainer) -> int:
        # Its port is the same inside, so that the address it gives to clients is right there too.
        settings = node_settings(_KAFKA_DATA, self._ports[0], _CONTROLLER_PORT, listen="")
        container.with_envs(
            CLUSTER_ID=self.cluster_id,
            KAFKA_HEAP_OPTS=f"-Xmx{HEAP}",
            **kafka_variables(settings),
        )
        return self._ports[0]

    def _answers(self, timeout: float) -> bool:
        return kafka_answers(self.bootstrap_servers, self.cluster_id, timeout)


class ContainerPostgres(ContainerServer):
    """A PostgreSQL cluster in a container, with a password of its own."""

    name = "PostgreSQL"

    @cached_property
    def _password(self) -> str:
        return secrets.token_urlsafe(18)

    @property
    def database_url(self) -> str:
        """The address of the database, with user and password."""
        return database_url(self._password, self._ports[0])

    def _configure(self, container: DockerContainer) -> int:
        container.with_envs(
            POSTGRES_USER=NAME,
            POSTGRES_DB=NAME,
            POSTGRES_PASSWORD=self._password,
            # Sorted by code point, as the embedded one sorts.
            POSTGRES_INITDB_ARGS="--encoding=UTF8 --locale=C.UTF-8 --no-sync",
        )
        options = [f"--{key}={value}" for key, value in SERVER_SETTINGS.items()]
        container.with_command(["postgres", *options])
        return _POSTGRES_PORT

    def _answers(self, timeout: float) -> bool:
        return postgres_answers(self.database_url, timeout)


def kafka_variables(settings: Mapping[str, str]) -> dict[str, str]:
    """Return settings of `server.properties` as the variables from which Kafka's image makes it."""
    # It reads three underscores as a dash, two as an underscore, one as a dot.
    words = str.maketrans({"_": "__", "-": "___", ".": "_"})
    return {f"KAFKA_{key.translate(words).upper()}": value for key, value in settings.items()}


@contextmanager
def open_containers(
    supervisor: Supervisor, images: StackImages, timeout: float
) -> Iterator[tuple[ContainerKafka, ContainerPostgres]]:
    """Bring up both servers with empty data, and remove them with all that they have made."""
    with open_engine() as engine, ExitStack() as removal:
        if not _choose_ryuk(engine):
            supervisor.guard_containers(f"{LABEL_SESSION_ID}={SESSION_ID}")
        kafka = ContainerKafka(engine, supervisor, images.kafka.name, timeout)
        postgres = ContainerPostgres(engine, supervisor, images.postgres.name, timeout)
        servers: tuple[ContainerServer, ...] = (kafka, postgres)

        def remove() -> None:
            for server in servers:
                server.remove()

        removal.callback(remove)
        # To remove one's container ends its start.
        run_together((server.start_on_free_ports for server in servers), on_failure=remove)
        yield kafka, postgres


def _choose_ryuk(engine: docker.DockerClient) -> bool:
    """Have Ryuk, testcontainers' own remover, remove what is left over; return whether it can."""
    if not testcontainers_config.ryuk_disabled:
        try:
            ryuk = fetch_image(engine, testcontainers_config.ryuk_image)
        except ImageError as error:
            _log.info("without Ryuk: %s", error)
            testcontainers_config.ryuk_disabled = True
        else:
            _log.info("with Ryuk: %s", ryuk)
    return not testcontainers_config.ryuk_disabled
