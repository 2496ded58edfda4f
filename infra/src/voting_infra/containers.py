"""Kafka and PostgreSQL in containers."""

import logging
import math
import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import PurePosixPath

import docker
from docker.errors import APIError, NotFound
from docker.models.containers import Container
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer
from testcontainers.core.labels import LABEL_SESSION_ID, SESSION_ID

from voting_infra.engine import engine_errors, fetch_image, open_engine
from voting_infra.exceptions import ChildExited, ChildTimeout, ImageError, PortTaken
from voting_infra.images import StackImages
from voting_infra.kafka import HEAP, kafka_answers, new_cluster_id, node_settings
from voting_infra.ports import LOOPBACK, free_ports
from voting_infra.postgres import NAME, SERVER_SETTINGS, database_url, postgres_answers
from voting_infra.servers import PORT_ATTEMPTS, answers_in_time
from voting_infra.supervisor import Supervisor

_log = logging.getLogger(__name__)

_CONTROLLER_PORT = 9093
_POSTGRES_PORT = 5432
_KAFKA_DATA = PurePosixPath("/var/lib/kafka/data")
_PORT_TAKEN = ("port is already allocated", "address already in use")


class ContainerServer:
    """A server in a container; `Server` says what the methods do.

    Subclasses define how it is configured (`_configure`) and when it answers (`_answers`).
    """

    name: str

    def __init__(
        self, engine: docker.DockerClient, supervisor: Supervisor, image: str, timeout: float
    ) -> None:
        """Prepare a server that does not run yet.

        Args:
            engine: Runs it.
            supervisor: Has the directory for its log.
            image: What it runs.
            timeout: Seconds within which it must answer after a start.
        """
        self.log_path = supervisor.log_dir / f"{self.name.lower()}.log"
        self.container_name = ""
        self._engine = engine
        self._image = image
        self._timeout = timeout
        self._port = 0

    def _configure(self, container: DockerContainer) -> int:
        """Configure the container for the server's port and return its port inside."""
        raise NotImplementedError

    def _answers(self, timeout: float) -> bool:
        """Return whether this very server answers its protocol within some seconds."""
        raise NotImplementedError

    @property
    def container(self) -> Container:
        """Its container, in the state that it has now."""
        return self._engine.containers.get(self.container_name)

    @property
    def running(self) -> bool:
        """Whether its container runs (it may be paused)."""
        with engine_errors(self.name):
            return self.container.status in ("running", "paused")

    def launch(self) -> None:
        """Make the container on a free port and return when its program runs, or is about to.

        Raises:
            EngineError: The engine refuses.
        """
        for attempt in range(1, PORT_ATTEMPTS + 1):
            (self._port,) = free_ports(1)
            self.container_name = f"voting-{self.name.lower()}-{secrets.token_hex(6)}"
            container = DockerContainer(self._image, name=self.container_name)
            # A prefix for images of the hub does not belong to a name that has been found.
            container.image = self._image
            inside = self._configure(container)
            container.ports = {f"{inside}/tcp": (LOOPBACK, self._port)}  # type: ignore[dict-item]
            try:
                with engine_errors(f"{self.name} cannot be started from {self._image}"):
                    container.start()
                return
            except Exception as error:
                self.remove()
                if not _is_port_taken(error) or attempt == PORT_ATTEMPTS:
                    raise
                _log.info("%s; trying another port", error)

    def remove(self) -> None:
        """Remove the container, if there is one, and its data, and leave its log.

        Raises:
            EngineError: The engine refuses.
        """
        with engine_errors(f"{self.name} cannot be removed"):
            try:
                self._save_log()
                self.container.remove(v=True, force=True)
            except NotFound:
                return
            except APIError as error:
                # Another process, such as Ryuk, is removing it.
                if error.status_code != 409:
                    raise

    def start(self) -> None:
        """Start the server on its data and port and return when it answers.

        It does nothing if the server runs.

        Raises:
            PortTaken: Another process has its port.
            ChildExited: It ended instead; with the last lines of its log.
            ChildTimeout: It did not answer in time, and has been killed.
        """
        if self.running:
            return
        with engine_errors(f"{self.name} cannot be started"):
            try:
                self.container.start()
            except APIError as error:
                if not _is_port_taken(error):
                    raise
                what = f"cannot have port {self._port}"
                raise PortTaken(self.name, what, self.log_path) from error
        self.await_answer()

    def await_answer(self) -> None:
        """Return when the server answers.

        Raises:
            ChildExited: It ended instead; with the last lines of its log.
            ChildTimeout: It did not answer in time, and has been killed.
        """
        if not answers_in_time(self._answers, self._check, self._timeout):
            self.kill()
            with engine_errors(self.name):
                self._save_log()
            what = f"has not answered within {self._timeout:g} s"
            raise ChildTimeout(self.name, what, self.log_path)

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

    def _check(self) -> None:
        if not self.running:
            with engine_errors(self.name):
                self._save_log()
                what = f"ended with exit status {self.container.attrs['State']['ExitCode']}"
            raise ChildExited(self.name, what, self.log_path)

    def _save_log(self) -> None:
        self.log_path.write_bytes(self.container.logs())


def _is_port_taken(error: Exception) -> bool:
    return any(words in str(error) for words in _PORT_TAKEN)


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
        return f"{LOOPBACK}:{self._port}"

    def _configure(self, container: DockerContainer) -> int:
        # Its port is the same inside, so that the address it gives to clients is right there too.
        settings = node_settings(_KAFKA_DATA, self._port, _CONTROLLER_PORT, listen="")
        container.with_envs(
            CLUSTER_ID=self.cluster_id,
            KAFKA_HEAP_OPTS=f"-Xmx{HEAP}",
            **kafka_variables(settings),
        )
        return self._port

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
        return database_url(self._password, self._port)

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
    """Bring up both servers with empty data, and remove them with all that they have made.

    Args:
        supervisor: Removes their containers, should this process be killed.
        images: What they run.
        timeout: Seconds within which each must answer after a start.

    Raises:
        StackError: One does not come up; the message says why and names the log.
    """
    with open_engine() as engine, ExitStack() as removal:
        if not _choose_ryuk(engine):
            supervisor.guard_containers(f"{LABEL_SESSION_ID}={SESSION_ID}")
        kafka = ContainerKafka(engine, supervisor, images.kafka.name, timeout)
        postgres = ContainerPostgres(engine, supervisor, images.postgres.name, timeout)
        servers: list[ContainerServer] = [kafka, postgres]
        for server in servers:
            removal.callback(server.remove)
            server.launch()
        for server in servers:
            server.await_answer()
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
