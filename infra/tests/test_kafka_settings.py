"""What makes several Kafka nodes one cluster; the test of the cluster runs one."""

from pathlib import Path

from voting_infra.kafka import NodeAddress, node_settings

THREE = [NodeAddress(1, 9091, 9081), NodeAddress(2, 9092, 9082), NodeAddress(3, 9093, 9083)]


def settings(node_id: int, cluster: list[NodeAddress]) -> dict[str, str]:
    """A node's settings."""
    return node_settings(Path("/logs"), node_id, cluster)


def test_a_node_alone_keeps_the_only_copy() -> None:
    """Where there is one node, one copy must do, of Kafka's own topics too."""
    found = settings(1, THREE[:1])
    assert found["controller.quorum.voters"] == "1@127.0.0.1:9081"
    copies = {k: v for k, v in found.items() if k.endswith(("replication.factor", "min.isr"))}
    assert len(copies) == 6
    assert {*copies.values(), found["min.insync.replicas"]} == {"1"}


def test_three_nodes_keep_three_copies() -> None:
    """Of three nodes each has every record, two must have it, and all vote for the controller."""
    found = settings(2, THREE)
    assert found["node.id"] == "2"
    assert found["advertised.listeners"] == "PLAINTEXT://127.0.0.1:9092"
    assert found["listeners"].endswith("CONTROLLER://127.0.0.1:9082")
    assert found["controller.quorum.voters"] == (
        "1@127.0.0.1:9081,2@127.0.0.1:9082,3@127.0.0.1:9083"
    )
    assert {v for k, v in found.items() if k.endswith("replication.factor")} == {"3"}
    needed = {v for k, v in found.items() if k.endswith(("min.isr", "min.insync.replicas"))}
    assert needed == {"2"}
