"""A consumer that is paused at a step and resumes after others have done its work."""

import signal

import pytest

from testkit.consumer_faults import paused_consumer
from testkit.election import Election
from testkit.sample_ballots import assert_counted

BATCHES = "--batch-size=100"


@pytest.mark.parametrize(
    ("point", "successor"),
    [
        ("partitions locked", "two"),
        ("decisions committed", "one"),
        ("decisions committed", "two"),
        ("offsets sent", "two"),
    ],
)
def test_a_zombie_changes_nothing_when_it_resumes(
    ready: Election, point: str, successor: str
) -> None:
    """Paused past all timeouts, it neither blocks its successor nor adds to the count."""
    with paused_consumer(ready, point, BATCHES, "--instance=one") as zombie:
        ready.consume(BATCHES, f"--instance={successor}")
        assert_counted(ready)
        zombie.send_signal(signal.SIGCONT)
        _, log = zombie.communicate(timeout=60)
        # It goes on as a member of the group, or exits because it is fenced off: by another one of
        # its name, or because its transaction has timed out.
        assert zombie.returncode == 0 or "fenced" in log, log
    ready.consume("--instance=three")
    assert_counted(ready)
