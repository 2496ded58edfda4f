"""Which errors of a query are an outage of Kafka."""

import attrs
import pytest
from confluent_kafka import KafkaError, KafkaException
from pyspark.errors import StreamingQueryException

from voting_stream.outages import is_outage

ERRORS = "org.apache.kafka.common.errors"


@attrs.define
class FakeThrowable:
    """A Java error with a cause."""

    text: str
    cause: "FakeThrowable | None" = None

    def toString(self) -> str:
        """Return its class and message."""
        return self.text

    def getCause(self) -> "FakeThrowable | None":
        """Return its cause."""
        return self.cause


def query_error(message: str, *causes: str) -> StreamingQueryException:
    """Return an error of a query as PySpark raises it, with Java's causes."""
    java = None
    for text in reversed(causes):
        java = FakeThrowable(text, java)
    error = StreamingQueryException(message)
    error._origin = java  # type: ignore[attr-defined]
    return error


@pytest.mark.parametrize(
    "error",
    [
        query_error(f"Job aborted: Lost task 0.0: {ERRORS}.TimeoutException: Expiring 1 record(s)"),
        KafkaException(KafkaError(KafkaError._TIMED_OUT)),
        query_error("No resolvable bootstrap urls given in bootstrap.servers"),
        query_error(
            "terminated with exception: This server does not host this topic-partition.",
            "org.apache.spark.SparkException: terminated",
            f"{ERRORS}.UnknownTopicOrPartitionException: This server does not host this",
        ),
    ],
)
def test_an_outage_is_recognized(error: Exception) -> None:
    """By its code or message, or by the class of a cause that the message lacks."""
    assert is_outage(error)


@pytest.mark.parametrize(
    "error",
    [
        query_error("terminated with exception: null", "java.lang.NullPointerException"),
        query_error(f"{ERRORS}.TopicAuthorizationException: Not authorized to access topics"),
        query_error("a.b.MyTimeoutExceptional: no"),
    ],
)
def test_another_error_is_none(error: StreamingQueryException) -> None:
    """The stream ends with it."""
    assert not is_outage(error)
