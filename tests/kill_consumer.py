"""Runs `voting-consumer` and kills it with SIGKILL at a chosen point of its loop.

Usage: kill_consumer.py [--pause] POINT TIMES ARGS…: the consumer ends when it comes to POINT for
the TIMES-th time; with --pause it stops there (SIGSTOP) until it is told to go on. The points are
the steps of the loop, in its order.
"""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from confluent_kafka import Producer

from voting_consumer import cli, decisions, loop, publisher
from voting_core.database import decisions as stored_decisions


def before(owner: Any, name: str) -> Callable[[Callable[[], None]], None]:
    """A point just before a function is called."""

    def install(come_by: Callable[[], None]) -> None:
        function = getattr(owner, name)

        def replacement(*args: Any, **kwargs: Any) -> Any:
            come_by()
            return function(*args, **kwargs)

        setattr(owner, name, replacement)

    return install


def after(owner: Any, name: str) -> Callable[[Callable[[], None]], None]:
    """A point just after a function has returned."""

    def install(come_by: Callable[[], None]) -> None:
        function = getattr(owner, name)

        def replacement(*args: Any, **kwargs: Any) -> Any:
            result = function(*args, **kwargs)
            come_by()
            return result

        setattr(owner, name, replacement)

    return install


class KillableProducer(Producer):
    """librdkafka's producer is a C type, whose methods can be replaced in a subclass only."""

    def begin_transaction(self) -> None:
        """Begin a transaction."""
        super().begin_transaction()

    def send_offsets_to_transaction(self, *args: Any) -> None:
        """Send the offsets."""
        super().send_offsets_to_transaction(*args)

    def commit_transaction(self, *args: Any) -> None:
        """Commit."""
        super().commit_transaction(*args)


POINTS = {
    "polled": before(decisions.Decider, "decide"),
    "partitions locked": after(stored_decisions, "lock_partitions"),
    "votes inserted": after(stored_decisions, "insert_votes"),
    "rejections inserted": after(stored_decisions, "insert_rejections"),
    "decisions committed": after(decisions.Decider, "decide"),
    "transaction begun": after(KillableProducer, "begin_transaction"),
    "records produced": after(publisher.Publisher, "produce"),
    "offsets sent": after(KillableProducer, "send_offsets_to_transaction"),
    "transaction committed": after(KillableProducer, "commit_transaction"),
    "batch done": after(loop.BallotConsumer, "decide_and_publish"),
}


def main() -> None:
    """Install the point and run the consumer."""
    number = signal.SIGKILL
    if sys.argv[1] == "--pause":
        number = signal.SIGSTOP
        del sys.argv[1]
    point, times = sys.argv[1], int(sys.argv[2])
    passed = 0

    def come_by() -> None:
        nonlocal passed
        passed += 1
        if passed == times:
            os.kill(os.getpid(), number)

    vars(publisher)["Producer"] = KillableProducer
    POINTS[point](come_by)
    sys.argv[1:] = sys.argv[3:]
    cli.main()


if __name__ == "__main__":
    main()
