"""What makes several Kafka nodes one cluster, and starting them."""

from pathlib import Path

import pytest

from cluster.kafka_cluster import KafkaCluster, NodeAddress, cluster_settings
from voting_core.service.java import Java
from voting_infra import ChildExited, Supervisor
from voting_infra.kafka_libs import KafkaLibs

THREE = [NodeAddress(1, 9091, 9081), NodeAddress(2, 9092, 9082), NodeAddress(3, 9093, 9083)]


def test_three_nodes_keep_three_copies() -> None:
    """Of three nodes each has every record, two must have it, and all vote for the controller."""
    found = cluster_settings(2, THREE)
    assert found["node.id"] == "2"
    assert found["controller.quorum.voters"] == (
        "1@127.0.0.1:9081,2@127.0.0.1:9082,3@127.0.0.1:9083"
    )
    assert {v for k, v in found.items() if k.endswith("replication.factor")} == {"3"}
    needed = {v for k, v in found.items() if k.endswith(("min.isr", "min.insync.replicas"))}
    assert needed == {"2"}


# A java that formats logs, and runs as a node unless it is the second one.
SECOND_ENDS = """
case "$*" in
*StorageTool*) exit 0 ;;
*) grep -q node.id=2 server.properties && { echo "no disk"; exit 1; }; exec sleep 600 ;;
esac
"""


def test_a_node_that_ends_takes_the_others_down(tmp_path: Path) -> None:
    """When one node cannot start, its log is shown and no other is left running."""
    program = tmp_path / "java"
    program.write_text(f"#!/bin/sh\n{SECOND_ENDS}\n")
    program.chmod(0o755)
    with Supervisor(tmp_path) as supervisor:
        cluster = KafkaCluster(supervisor, Java(program, 17, ""), KafkaLibs(tmp_path))
        with pytest.raises(ChildExited, match=r"(?s)Kafka-2 ended with exit status 1.*no disk"):
            cluster.start()
        assert not any(node.running for node in cluster.nodes)
