"""Kafka and PostgreSQL in containers."""

import logging
import math
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import PurePosixPath

import attrs
import docker
from docker.errors import APIError
from docker.models.containers import Container
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

from voting_infra.container_removal import remove_container
from voting_infra.engine import FoundImage, engine_errors, fetch_image, open_engine
from voting_infra.exceptions import ChildExited, ChildTimeout, ImageError, PortTaken
from voting_infra.images import IMAGES, find_image, resolve_image
from voting_infra.kafka import HEAP, NodeAddress, kafka_answers, new_cluster_id, node_settings
from voting_infra.logs import tail
from voting_infra.ports import LOOPBACK, free_ports
from voting_infra.postgres import NAME, SERVER_SETTINGS, database_url, postgres_answers
from voting_infra.server import PORT_ATTEMPTS
from voting_infra.supervisor import Supervisor

_log = logging.getLogger(__name__)

KAFKA_IMAGE = "apache/kafka:4.1.1"
POSTGRES_IMAGE = "postgres:18"

_POLL_S = 0.1
_CONTROLLER_PORT = 9093
_POSTGRES_PORT = 5432
_KAFKA_DATA = PurePosixPath("/var/lib/kafka/data")
_PORT_TAKEN = ("port is already allocated", "address already in use")


@attrs.frozen
class StackImages:
    """The images of a stack.

    Attributes:
        kafka: Has the interface of `apache/kafka`.
        postgres: Has the interface of `postgres`.
    """

    kafka: FoundImage
    postgres: FoundImage

    def __str__(self) -> str:
        return f"{self.kafka} and {self.postgres}"


def find_images(environ: Mapping[str, str]) -> StackImages:
    """Returns the images of a stack, each the local one, else a pull, else one built here before.

    Args:
        environ: Where `VOTING_KAFKA_IMAGE` and `VOTING_POSTGRES_IMAGE` are looked up.

    Raises:
        EngineError: No engine answers.
        ImageError: One is not there.
    """
    kafka, postgres = image_names(environ)
    with open_engine() as engine:
        return StackImages(
            find_image(engine, kafka, IMAGES["kafka"]),
            find_image(engine, postgres, IMAGES["postgres"]),
        )


def resolve_images(supervisor: Supervisor, environ: Mapping[str, str]) -> StackImages:
    """Returns the images of a stack as `find_images` does, and builds what is not there.

    Args:
        supervisor: Runs what building needs.
        environ: As of `find_images`.

    Raises:
        EngineError: No engine answers.
        StackError: One cannot be built.
        JavaError: Building Kafka's needs a Java, and there is none.
    """
    kafka, postgres = image_names(environ)
    with open_engine() as engine:
        return StackImages(
            resolve_image(engine, supervisor, kafka, IMAGES["kafka"]),
            resolve_image(engine, supervisor, postgres, IMAGES["postgres"]),
        )


def image_names(environ: Mapping[str, str]) -> tuple[str, str]:
    """Returns the names of the wanted images of Kafka and of PostgreSQL.

    Args:
        environ: Where `VOTING_KAFKA_IMAGE` and `VOTING_POSTGRES_IMAGE` are looked up; without
            them it is the official images.
    """
    return (
        environ.get("VOTING_KAFKA_IMAGE") or KAFKA_IMAGE,
        environ.get("VOTING_POSTGRES_IMAGE") or POSTGRES_IMAGE,
    )


class ContainerServer:
    """A server in a container; `Server` says what the methods do.

    Subclasses say how it is configured (`_describe`) and when it answers (`_answers`).
    """

    name: str

    def __init__(
        self, engine: docker.DockerClient, supervisor: Supervisor, image: str, timeout: float
    ) -> None:
        """Prepares a server that does not run yet.

        Args:
            engine: Runs it.
            supervisor: Removes its container, should this process be killed.
            image: What it runs.
            timeout: Seconds within which it must answer after a start.
        """
        self.log_path = supervisor.log_dir / f"{self.name.lower()}.log"
        self.container_name = ""
        self._engine = engine
        self._supervisor = supervisor
        self._image = image
        self._timeout = timeout
        self._port = 0

    def _describe(self, container: DockerContainer) -> int:
        """Configures the container for the server's port; returns its port inside."""
        raise NotImplementedError

    def _answers(self, timeout: float) -> bool:
        """Tells whether this very server answers its protocol, waiting at most some seconds."""
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
        """Makes the container on a free port and returns when its program runs, or is about to.

        Raises:
            EngineError: The engine refuses.
        """
        for attempt in range(1, PORT_ATTEMPTS + 1):
            (self._port,) = free_ports(1)
            self.container_name = f"voting-{self.name.lower()}-{secrets.token_hex(6)}"
            # Before it is made: whatever happens then, it is removed.
            self._supervisor.guard_container(self.container_name)
            try:
                with engine_errors(f"{self.name} cannot be started from {self._image}"):
                    self._make().start()
                return
            except Exception as error:
                self.remove()
                taken = any(words in str(error) for words in _PORT_TAKEN)
                if not taken or attempt == PORT_ATTEMPTS:
                    raise
                _log.info("%s; trying another port", error)

    def _make(self) -> DockerContainer:
        made = DockerContainer(self._image, name=self.container_name)
        # A prefix for images of the hub does not belong to a name that has been found.
        made.image = self._image
        inside = self._describe(made)
        made.ports = {f"{inside}/tcp": (LOOPBACK, self._port)}  # type: ignore[dict-item]
        return made

    def remove(self) -> None:
        """Removes the container, if there is one, and its data, and leaves its log.

        Raises:
            EngineError: The engine refuses.
        """
        if self.container_name:
            self._save_log()
            remove_container(self._engine, self.container_name)
            self._supervisor.release_container(self.container_name)
            self.container_name = ""

    def start(self) -> None:
        """Starts the server on its data and port and returns when it answers.

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
                if not any(words in str(error) for words in _PORT_TAKEN):
                    raise
                what = f"cannot have port {self._port}"
                raise PortTaken(self.name, what, self.log_path) from error
        self.await_answer()

    def await_answer(self) -> None:
        """Returns when the server answers.

        Raises:
            ChildExited: It ended instead; with the last lines of its log.
            ChildTimeout: It did not answer in time, and has been killed.
        """
        deadline = time.monotonic() + self._timeout
        while not self._answers(min(1.0, max(_POLL_S, deadline - time.monotonic()))):
            if not self.running:
                status = self.container.attrs["State"]["ExitCode"]
                self._save_log()
                what = f"ended with exit status {status}"
                raise ChildExited(self.name, what, self.log_path, tail(self.log_path))
            if time.monotonic() > deadline:
                self.kill()
                self._save_log()
                what = f"has not answered within {self._timeout:g} s"
                raise ChildTimeout(self.name, what, self.log_path, tail(self.log_path))
            # Nothing announces that a server has come to answer.
            time.sleep(_POLL_S)

    def stop(self, timeout: float = 30.0) -> None:
        """Stops the server in an orderly way; kills it after the timeout, in seconds."""
        with engine_errors(f"{self.name} cannot be stopped"):
            self.resume()
            self.container.stop(timeout=math.ceil(timeout))

    def kill(self) -> None:
        """Ends the server at once, as a crash does."""
        with engine_errors(f"{self.name} cannot be killed"):
            # The engine kills nobody who is paused.
            self.resume()
            container = self.container
            if container.status == "running":
                container.kill()
                container.wait()

    def pause(self) -> None:
        """Freezes the server: connections stay open and nobody answers."""
        with engine_errors(f"{self.name} cannot be paused"):
            if self.container.status == "running":
                self.container.pause()

    def resume(self) -> None:
        """Lets the server run again after `pause`."""
        with engine_errors(f"{self.name} cannot be resumed"):
            if self.container.status == "paused":
                self.container.unpause()

    def _save_log(self) -> None:
        with engine_errors(f"the log of {self.name}"):
            for container in self._engine.containers.list(
                all=True, filters={"name": f"^/?{self.container_name}$"}
            ):
                self.log_path.write_bytes(container.logs())


class ContainerKafka(ContainerServer):
    """A Kafka broker and controller in one container."""

    name = "Kafka"

    def __init__(
        self, engine: docker.DockerClient, supervisor: Supervisor, image: str, timeout: float
    ) -> None:
        super().__init__(engine, supervisor, image, timeout)
        self.cluster_id = new_cluster_id()

    @property
    def bootstrap_servers(self) -> str:
        """The broker's address, `host:port`."""
        return f"{LOOPBACK}:{self._port}"

    def _describe(self, container: DockerContainer) -> int:
        # Its port is the same inside, so that the address it gives to clients is right there too.
        settings = node_settings(
            _KAFKA_DATA, 1, [NodeAddress(1, self._port, _CONTROLLER_PORT)], listen=""
        )
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

    def __init__(
        self, engine: docker.DockerClient, supervisor: Supervisor, image: str, timeout: float
    ) -> None:
        super().__init__(engine, supervisor, image, timeout)
        self._password = secrets.token_urlsafe(18)

    @property
    def database_url(self) -> str:
        """The address of the database, with user and password."""
        return database_url(self._password, self._port)

    def _describe(self, container: DockerContainer) -> int:
        container.with_envs(
            POSTGRES_USER=NAME,
            POSTGRES_DB=NAME,
            POSTGRES_PASSWORD=self._password,
            # Sorted by code point, as the embedded one sorts.
            POSTGRES_INITDB_ARGS="--encoding=UTF8 --locale=C.UTF-8 --no-sync",
        )
        options = [
            word for key, value in SERVER_SETTINGS.items() for word in ("-c", f"{key}={value}")
        ]
        container.with_command(["postgres", *options])
        return _POSTGRES_PORT

    def _answers(self, timeout: float) -> bool:
        return postgres_answers(self.database_url, timeout)


def kafka_variables(settings: Mapping[str, str]) -> dict[str, str]:
    """Returns settings of Kafka as the variables from which its image makes them.

    Args:
        settings: By the names that `server.properties` has for them.
    """
    return {f"KAFKA_{_variable(key)}": value for key, value in settings.items()}


def _variable(key: str) -> str:
    # Its image reads three underscores as a dash, two as an underscore, one as a dot.
    return key.replace("_", "__").replace("-", "___").replace(".", "_").upper()


@contextmanager
def open_containers(
    supervisor: Supervisor, images: StackImages, timeout: float
) -> Iterator[tuple[ContainerKafka, ContainerPostgres]]:
    """Brings up both servers with empty data, and removes them with all that they have made.

    Args:
        supervisor: Removes their containers, should this process be killed.
        images: What they run.
        timeout: Seconds within which each must answer after a start.

    Raises:
        StackError: One does not come up; the message says why and names the log.
    """
    with open_engine() as engine, ExitStack() as removal:
        _choose_ryuk(engine)
        kafka = ContainerKafka(engine, supervisor, images.kafka.name, timeout)
        postgres = ContainerPostgres(engine, supervisor, images.postgres.name, timeout)
        servers: list[ContainerServer] = [kafka, postgres]
        for server in servers:
            removal.callback(server.remove)
            server.launch()
        for server in servers:
            server.await_answer()
        yield kafka, postgres


def _choose_ryuk(engine: docker.DockerClient) -> None:
    """Lets testcontainers use Ryuk, its own remover of what is left over, if it can be had."""
    if testcontainers_config.ryuk_disabled:
        return
    try:
        ryuk = fetch_image(engine, testcontainers_config.ryuk_image)
    except ImageError as error:
        _log.info("without Ryuk: %s", error)
        testcontainers_config.ryuk_disabled = True
    else:
        _log.info("with Ryuk: %s", ryuk)
