"""Several Kafka nodes that keep copies of each other's records."""

from collections.abc import Sequence

import attrs

from voting_core.service.java import Java
from voting_infra.kafka import EmbeddedKafka, new_cluster_id, replication_settings
from voting_infra.kafka_libs import KafkaLibs
from voting_infra.ports import LOOPBACK, free_ports
from voting_infra.servers import run_together
from voting_infra.supervisor import Supervisor


@attrs.frozen
class NodeAddress:
    """Where a node listens, on loopback.

    Attributes:
        node_id: The node.
        broker_port: For clients and other brokers.
        controller_port: For the controllers' quorum.
    """

    node_id: int
    broker_port: int
    controller_port: int


class ClusterNode(EmbeddedKafka):
    """A node of several, which `join` makes it before its first start."""

    heap = "512m"

    def __init__(
        self,
        supervisor: Supervisor,
        java: Java,
        libs: KafkaLibs,
        *,
        node_id: int,
        cluster_id: str,
        timeout: float,
    ) -> None:
        self.name = f"Kafka-{node_id}"
        super().__init__(supervisor, java, libs, timeout=timeout)
        self.node_id = node_id
        self.cluster_id = cluster_id
        self._cluster: Sequence[NodeAddress] = ()

    def join(self, cluster: Sequence[NodeAddress]) -> None:
        """Make the node one of a cluster, given the addresses of all nodes."""
        self._cluster = cluster
        (own,) = (address for address in cluster if address.node_id == self.node_id)
        self._ports = [own.broker_port, own.controller_port]

    def _settings(self) -> dict[str, str]:
        return super()._settings() | cluster_settings(self.node_id, self._cluster)


def cluster_settings(node_id: int, cluster: Sequence[NodeAddress]) -> dict[str, str]:
    """Return what distinguishes the settings of one of several nodes from those of a node alone.

    Args:
        node_id: The node.
        cluster: The addresses of all nodes, with that of this one.
    """
    copies = min(3, len(cluster))
    return {
        "node.id": str(node_id),
        "controller.quorum.voters": ",".join(
            f"{address.node_id}@{LOOPBACK}:{address.controller_port}" for address in cluster
        ),
        # With three copies, two of which must have a record, one node may be lost at any time.
        **replication_settings(copies=copies, in_sync=max(1, copies - 1)),
        # On a busy machine a slow node must not be taken for a dead one; the first two are
        # Kafka's defaults.
        "broker.heartbeat.interval.ms": "2000",
        "broker.session.timeout.ms": "9000",
        "controller.quorum.fetch.timeout.ms": "6000",
        "controller.quorum.election.timeout.ms": "3000",
    }


class KafkaCluster:
    """Nodes that are brokers and controllers, each in a Java process of its own, on loopback.

    With three nodes or more every record has three copies and is acknowledged when two of them
    have it.

    Attributes:
        nodes: The nodes; each can be killed and started again by itself.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        java: Java,
        libs: KafkaLibs,
        *,
        size: int = 3,
        timeout: float = 120.0,
    ) -> None:
        """Prepare nodes with empty logs.

        Args:
            supervisor: Runs them.
            java: Runs them too.
            libs: Their jars.
            size: Number of nodes.
            timeout: Seconds within which each must answer after a start.
        """
        cluster_id = new_cluster_id()
        self.nodes = tuple(
            ClusterNode(
                supervisor, java, libs, node_id=node_id, cluster_id=cluster_id, timeout=timeout
            )
            for node_id in range(1, size + 1)
        )

    @property
    def bootstrap_servers(self) -> str:
        """The brokers' addresses, `host:port,host:port…`."""
        return ",".join(node.bootstrap_servers for node in self.nodes)

    def start(self) -> None:
        """Format all logs and start all nodes for the first time.

        A node answers only when most of them are up, so they start at the same time.

        Raises:
            ChildError: A node does not come up; then none runs.
        """
        ports = iter(free_ports(2 * len(self.nodes)))
        cluster = [NodeAddress(node.node_id, next(ports), next(ports)) for node in self.nodes]
        for node in self.nodes:
            node.join(cluster)
        run_together(node.format for node in self.nodes)
        # To kill the others ends their starts.
        run_together((node.start for node in self.nodes), self._kill)

    def _kill(self) -> None:
        for node in self.nodes:
            if node.running:
                node.kill()
