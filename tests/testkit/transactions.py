"""Kafka transactions of other clients."""

from confluent_kafka import Producer

__all__ = ["begin_transaction", "connect_transactional"]

REQUEST_SECONDS = 30.0


def connect_transactional(
    bootstrap_servers: str, transactional_id: str, *, seconds: int = 60
) -> Producer:
    """Return a transactional producer.

    Args:
        bootstrap_servers: Of Kafka.
        transactional_id: Unique; a second producer with the same one fences off the first.
        seconds: After this time Kafka aborts an open transaction.
    """
    producer = Producer(
        {
            "bootstrap.servers": bootstrap_servers,
            "transactional.id": transactional_id,
            "transaction.timeout.ms": seconds * 1000,
        }
    )
    producer.init_transactions(REQUEST_SECONDS)
    return producer


def begin_transaction(
    bootstrap_servers: str, transactional_id: str, *, seconds: int = 60
) -> Producer:
    """Return a producer in a transaction; the arguments are those of `connect_transactional`."""
    producer = connect_transactional(bootstrap_servers, transactional_id, seconds=seconds)
    producer.begin_transaction()
    return producer
