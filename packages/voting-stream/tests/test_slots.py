"""The task slots of real-time mode."""

import pytest
from pyspark.sql import SparkSession

from voting_core.exceptions import FatalError
from voting_core.service.signals import StopSignal
from voting_stream import slots
from voting_stream.settings import StreamSettings


@pytest.mark.parametrize(
    ("partitions", "cores", "master"), [(6, 4, "local[9]"), (1, 16, "local[16]")]
)
def test_the_local_master_has_a_slot_for_each_task(
    monkeypatch: pytest.MonkeyPatch, partitions: int, cores: int, master: str
) -> None:
    """For each partition and shuffle partition, and not fewer than there are cores."""
    monkeypatch.setattr("voting_stream.slots.os.cpu_count", lambda: cores)
    assert slots.default_master(StreamSettings(shuffle_partitions=3), partitions) == master


def test_micro_batches_use_the_cores() -> None:
    """Their tasks wait for one another."""
    assert slots.default_master(StreamSettings(trigger="1 second"), 6) == "local[*]"


def test_too_few_slots_are_an_error(spark: SparkSession) -> None:
    """With both numbers; the session has one slot."""
    with pytest.raises(FatalError, match=r"runs 5 tasks .* 3 partitions .* local\[1\] has 1 task"):
        slots.check_slots(spark, StreamSettings(shuffle_partitions=2), 3, StopSignal())


def test_a_stop_ends_the_wait_for_executors(spark: SparkSession) -> None:
    """No error then."""
    stop = StopSignal()
    stop.signum = 15
    slots.check_slots(spark, StreamSettings(shuffle_partitions=2), 3, stop)
