"""A single-node Apache Kafka in KRaft mode."""

import base64
import logging
import os
import uuid
from pathlib import Path, PurePath

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from voting_core.java import QUIET_OPTIONS, Java
from voting_infra.child import Command
from voting_infra.exceptions import ChildExited
from voting_infra.kafka_libs import KafkaLibs
from voting_infra.logs import tail
from voting_infra.ports import LOOPBACK
from voting_infra.server import EmbeddedServer
from voting_infra.supervisor import Supervisor

_log = logging.getLogger(__name__)

HEAP = "1g"
"""Of the broker's Java."""

_FORMAT_TIMEOUT_S = 120.0

_LOG4J2 = """\
status = warn
appender.out.type = Console
appender.out.name = OUT
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{ISO8601} %-5p %c{1.} %m%n
rootLogger.level = info
rootLogger.appenderRef.out.ref = OUT
# Each of these prints all settings at every start, some thousand lines.
logger.config.name = org.apache.kafka.common.config
logger.config.level = warn
logger.server_config.name = kafka.server.KafkaConfig
logger.server_config.level = warn
"""


class EmbeddedKafka(EmbeddedServer):
    """A Kafka broker and controller in one Java process, on loopback."""

    name = "Kafka"
    port_count = 2

    def __init__(
        self,
        supervisor: Supervisor,
        java: Java,
        libs: KafkaLibs,
        *,
        record_archive: Path | None = None,
        timeout: float = 60.0,
    ) -> None:
        """Prepares a broker with empty logs.

        Args:
            supervisor: Runs it.
            java: Runs it too.
            libs: Its jars.
            record_archive: Where to leave an archive of the classes it has used at an orderly
                stop, which then takes some seconds longer; by default it leaves none.
            timeout: Seconds within which it must answer after a start.
        """
        super().__init__(supervisor, timeout)
        self.cluster_id = new_cluster_id()
        self._java = java
        self._libs = libs
        self._record_archive = record_archive
        self._directory = supervisor.make_directory("kafka")
        self._log4j2 = self._directory / "log4j2.properties"
        self._log4j2.write_text(_LOG4J2)

    @property
    def bootstrap_servers(self) -> str:
        """The broker's address, `host:port`."""
        return f"{LOOPBACK}:{self._ports[0]}"

    def start_on_free_ports(self) -> None:
        """Formats the logs and starts the broker for the first time.

        Raises:
            ChildError: It cannot be formatted, or as `start`.
        """
        self._format()
        super().start_on_free_ports()

    def _format(self) -> None:
        # The ports do not matter to the formatted logs, but the tool wants a complete file.
        properties = self._write_properties(broker_port=1, controller_port=2)
        # For a program of one second a simple compiler and collector start faster.
        options = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", *self._archive_options()]
        tool = ["kafka.tools.StorageTool", "format", "-t", self.cluster_id, "-c", str(properties)]
        child = self._supervisor.start(self._java_command("Kafka's StorageTool", options + tool))
        if child.wait(_FORMAT_TIMEOUT_S):
            raise ChildExited(child.name, "has failed", self.log_path, tail(self.log_path))

    def _command(self) -> Command:
        broker_port, controller_port = self._ports
        properties = self._write_properties(broker_port, controller_port)
        options = [f"-Xmx{HEAP}", *self._archive_options()]
        if self._record_archive is not None:
            options.append(f"-XX:ArchiveClassesAtExit={self._record_archive}")
        return self._java_command(self.name, [*options, "kafka.Kafka", str(properties)])

    def _answers(self, timeout: float) -> bool:
        return kafka_answers(self.bootstrap_servers, self.cluster_id, timeout)

    def _java_command(self, name: str, arguments: list[str]) -> Command:
        argv: list[str | Path] = [self._java.path, *QUIET_OPTIONS]
        # Native libraries are unpacked there, and would stay after a SIGKILL.
        argv += [f"-Djava.io.tmpdir={self._directory}"]
        argv += [f"-Dlog4j2.configurationFile={self._log4j2}", *arguments]
        return Command(
            name=name,
            argv=argv,
            log_path=self.log_path,
            env={**os.environ, "CLASSPATH": self._libs.class_path},
            cwd=self._directory,
        )

    def _archive_options(self) -> list[str]:
        archive = self._libs.archive
        return [] if archive is None else [f"-XX:SharedArchiveFile={archive}"]

    def _write_properties(self, broker_port: int, controller_port: int) -> Path:
        path = self._directory / "server.properties"
        settings = node_settings(self._directory / "logs", broker_port, controller_port)
        path.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        return path


def new_cluster_id() -> str:
    """Returns a random id in Kafka's form: a UUID as 22 characters of URL-safe base64."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        # Kafka does not make such ids either: a command line takes them for an option.
        if not text.startswith("-"):
            return text


def kafka_answers(bootstrap_servers: str, cluster_id: str, timeout: float) -> bool:
    """Tells whether the broker of a cluster serves clients.

    Args:
        bootstrap_servers: Its address.
        cluster_id: Of the cluster; another one at that address is not it.
        timeout: Seconds to wait for an answer.
    """
    # The log of a client that meets a closed port, as it does here, is of no use to anybody.
    settings: dict[str, str | int | float | bool] = {
        "bootstrap.servers": bootstrap_servers,
        "reconnect.backoff.ms": 20,
        "reconnect.backoff.max.ms": 100,
        "log_level": 0,
    }
    try:
        metadata = AdminClient(settings, logger=_log).list_topics(timeout=timeout)
    except KafkaException as error:
        _log.debug("Kafka does not answer yet: %s", error)
        return False
    # A broker is listed once the controller lets it serve.
    return metadata.cluster_id == cluster_id and bool(metadata.brokers)


def node_settings(
    logs: PurePath, broker_port: int, controller_port: int, *, listen: str = LOOPBACK
) -> dict[str, str]:
    """Returns the settings of a single node that is broker and controller.

    Args:
        logs: The directory of its data.
        broker_port: Where clients connect, on loopback.
        controller_port: Where the broker meets its controller, on loopback.
        listen: The address that the broker listens on; empty for all of a container, whose port
            is forwarded from loopback.
    """
    settings = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@{LOOPBACK}:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "listeners": (
            f"PLAINTEXT://{listen}:{broker_port},CONTROLLER://{LOOPBACK}:{controller_port}"
        ),
        "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{broker_port}",
        "log.dirs": logs,
        "auto.create.topics.enable": "false",
        # One node holds every replica.
        "default.replication.factor": 1,
        "min.insync.replicas": 1,
        "offsets.topic.replication.factor": 1,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        # Tests of crashes need not wait long for the group to notice.
        "group.min.session.timeout.ms": 1000,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
        # A start waits for heartbeats, and after a crash for the end of the old session.
        "broker.heartbeat.interval.ms": 200,
        "broker.session.timeout.ms": 3000,
    }
    return {key: str(value) for key, value in settings.items()}
