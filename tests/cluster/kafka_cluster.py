"""Several Kafka nodes that keep copies of each other's records."""

from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

from voting_core.service.java import Java
from voting_infra.kafka import EmbeddedKafka, NodeAddress, new_cluster_id
from voting_infra.kafka_libs import KafkaLibs
from voting_infra.ports import free_ports
from voting_infra.supervisor import Supervisor

_HEAP = "512m"


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
            EmbeddedKafka(
                supervisor,
                java,
                libs,
                name=f"Kafka-{node_id}",
                node_id=node_id,
                cluster_id=cluster_id,
                heap=_HEAP,
                timeout=timeout,
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
        try:
            _all_at_once(node.format for node in self.nodes)
            _all_at_once((node.start for node in self.nodes), self._kill)
        except BaseException:
            self._kill()
            raise

    def _kill(self) -> None:
        for node in self.nodes:
            if node.running:
                node.kill()


def _all_at_once(
    actions: Iterable[Callable[[], None]], on_failure: Callable[[], None] = lambda: None
) -> None:
    """Run actions in threads of their own; a failure is acted on before the others are done."""
    with ThreadPoolExecutor(thread_name_prefix="kafka") as threads:
        futures = [threads.submit(action) for action in actions]
        done, others = wait(futures, return_when=FIRST_EXCEPTION)
        if others:
            on_failure()
        for future in done:
            future.result()
