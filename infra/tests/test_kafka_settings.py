"""The settings of a Kafka node alone."""

from pathlib import Path

from voting_infra.kafka import node_settings


def test_a_node_alone_keeps_the_only_copy() -> None:
    """Where there is one node, one copy must do, of Kafka's own topics too."""
    found = node_settings(Path("/logs"), 9092, 9082)
    assert found["advertised.listeners"] == "PLAINTEXT://127.0.0.1:9092"
    assert found["listeners"].endswith("CONTROLLER://127.0.0.1:9082")
    assert found["controller.quorum.voters"] == "1@127.0.0.1:9082"
    copies = {k: v for k, v in found.items() if k.endswith(("replication.factor", "min.isr"))}
    assert len(copies) == 6
    assert {*copies.values(), found["min.insync.replicas"]} == {"1"}
