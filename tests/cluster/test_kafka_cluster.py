"""Starting several Kafka nodes."""

from pathlib import Path

import pytest

from cluster.kafka_cluster import KafkaCluster
from voting_core.service.java import Java
from voting_infra import ChildExited, Supervisor
from voting_infra.kafka_libs import KafkaLibs

# A java that formats logs, and runs as a node unless it is the second one.
SECOND_ENDS = """
case "$*" in
*StorageTool*) exit 0 ;;
*) grep -q node.id=2 server.properties && { echo "no disk"; exit 1; }; exec sleep 600 ;;
esac
"""


def test_a_node_that_ends_takes_the_others_down(tmp_path: Path, supervisor: Supervisor) -> None:
    """When one node cannot start, its log is shown and no other is left running."""
    program = tmp_path / "java"
    program.write_text(f"#!/bin/sh\n{SECOND_ENDS}\n")
    program.chmod(0o755)
    cluster = KafkaCluster(supervisor, Java(program, 17, ""), KafkaLibs(tmp_path))
    with pytest.raises(ChildExited, match=r"(?s)Kafka-2 ended with exit status 1.*no disk"):
        cluster.start()
    assert not any(node.running for node in cluster.nodes)
