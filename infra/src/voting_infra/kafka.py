"""An Apache Kafka node in KRaft mode: broker and controller in one."""

import base64
import logging
import os
import uuid
from pathlib import PurePath

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from voting_core.service.class_archive import ClassArchive
from voting_core.service.java import QUIET_OPTIONS, Java
from voting_infra.kafka_libs import KafkaLibs
from voting_infra.ports import LOOPBACK, free_ports
from voting_infra.processes import Command
from voting_infra.servers import EmbeddedServer
from voting_infra.supervisor import Supervisor

_log = logging.getLogger(__name__)

HEAP = "1g"
"""Of the broker's Java."""

_FORMAT_TIMEOUT_S = 120.0
_ENDED_BY_SIGTERM = 128 + 15  # what an orderly end of Java comes to

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
    node_id = 1
    heap = HEAP

    def __init__(
        self,
        supervisor: Supervisor,
        java: Java,
        libs: KafkaLibs,
        *,
        record_archive: bool = False,
        timeout: float = 60.0,
    ) -> None:
        """Prepare a node with empty logs.

        Args:
            supervisor: Runs it.
            java: Runs it.
            libs: Its jars.
            record_archive: Whether to record a class-data archive at an orderly stop, which then
                takes some seconds longer, for `keep_class_archive`; none is if there is one.
            timeout: Seconds within which it must answer after a start.
        """
        super().__init__(supervisor, timeout)
        self.cluster_id = new_cluster_id()
        self._java = java
        self._libs = libs
        self._record_archive = record_archive
        self._archive = ClassArchive.find(libs.directory, "kafka", java)
        self._directory = supervisor.make_directory("kafka")
        self._log4j2 = self._directory / "log4j2.properties"
        self._log4j2.write_text(_LOG4J2)

    @property
    def bootstrap_servers(self) -> str:
        """The broker's address, `host:port`."""
        return f"{LOOPBACK}:{self._ports[0]}"

    def start_on_free_ports(self) -> None:
        """Format the logs and start the broker for the first time."""
        self.format()
        super().start_on_free_ports()

    def format(self) -> None:
        """Format the logs, which is done once, before the first start.

        Raises:
            ChildError: They cannot be formatted.
        """
        # They do not matter to the formatted logs, but the tool wants a complete file.
        self._ports = self._ports or free_ports(self.port_count)
        # For a program of one second a simple compiler and collector start faster.
        options = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
        if self._archive.exists:
            options.append(self._archive.java_option)
        tool = ["kafka.tools.StorageTool", "format", "-t", self.cluster_id, "-c"]
        self._run_tool(
            self._java_command("Kafka's StorageTool", [*options, *tool]), _FORMAT_TIMEOUT_S
        )

    def keep_class_archive(self) -> None:
        """Keep the class-data archive that the broker has recorded, if it ended in good order."""
        if self.child.returncode == _ENDED_BY_SIGTERM and self._archive.keep():
            _log.info("recorded Kafka's classes for faster starts: %s", self._archive.path)

    def _settings(self) -> dict[str, str]:
        """Return the settings of the node, for its logs and ports."""
        return node_settings(self._directory / "logs", *self._ports)

    def _command(self) -> Command:
        options = [f"-Xmx{self.heap}"]
        if self._archive.exists or self._record_archive:
            options.append(self._archive.java_option)
        return self._java_command(self.name, [*options, "kafka.Kafka"])

    def _answers(self, timeout: float) -> bool:
        return kafka_answers(self.bootstrap_servers, self.cluster_id, timeout, self.node_id)

    def _java_command(self, name: str, arguments: list[str]) -> Command:
        properties = self._directory / "server.properties"
        settings = self._settings()
        properties.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        return Command(
            name=name,
            argv=[
                *(self._java.path, *QUIET_OPTIONS),
                # Native libraries are unpacked there, and would stay after a SIGKILL.
                f"-Djava.io.tmpdir={self._directory}",
                f"-Dlog4j2.configurationFile={self._log4j2}",
                *arguments,
                properties,
            ],
            log_path=self.log_path,
            env={**os.environ, "CLASSPATH": self._libs.class_path},
            cwd=self._directory,
        )


def new_cluster_id() -> str:
    """Return a random id in Kafka's form: a UUID as 22 characters of URL-safe base64."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        # As Kafka does: a command line takes such an id for an option.
        if not text.startswith("-"):
            return text


def kafka_answers(
    bootstrap_servers: str, cluster_id: str, timeout: float, node_id: int = 1
) -> bool:
    """Return whether, within some seconds, a node of this very cluster serves clients."""
    # A closed port, which this client logs as an error, is the normal case here.
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
    return metadata.cluster_id == cluster_id and node_id in metadata.brokers


def node_settings(
    logs: PurePath, broker_port: int, controller_port: int, *, listen: str = LOOPBACK
) -> dict[str, str]:
    """Return the settings of a node alone, which is broker and controller.

    Args:
        logs: The directory of its data.
        broker_port: For clients.
        controller_port: For the controllers' quorum.
        listen: The address that the broker listens on; empty for all of a container, whose port
            is forwarded from loopback.
    """
    controller = f"{LOOPBACK}:{controller_port}"
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{controller}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://{listen}:{broker_port},CONTROLLER://{controller}",
        "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{broker_port}",
        "log.dirs": str(logs),
        "auto.create.topics.enable": "false",
        **replication_settings(copies=1, in_sync=1),
        # Tests of crashes need not wait long for the group to notice.
        "group.min.session.timeout.ms": "1000",
        "group.initial.rebalance.delay.ms": "0",
        # A start waits for heartbeats, and after a crash for the end of the old session.
        "broker.heartbeat.interval.ms": "200",
        "broker.session.timeout.ms": "3000",
    }


def replication_settings(*, copies: int, in_sync: int) -> dict[str, str]:
    """Return the settings of all topics, Kafka's own included.

    Args:
        copies: Copies of each record.
        in_sync: Copies that a record must have before it is acknowledged.
    """
    internal = ("transaction.state.log", "share.coordinator.state.topic")
    return {
        "default.replication.factor": str(copies),
        "offsets.topic.replication.factor": str(copies),
        "min.insync.replicas": str(in_sync),
        **{f"{topic}.replication.factor": str(copies) for topic in internal},
        **{f"{topic}.min.isr": str(in_sync) for topic in internal},
    }
