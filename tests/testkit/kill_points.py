"""Runs `voting-consumer` and kills or pauses it at a chosen point of its loop.

Usage: kill_points.py [--pause] POINT TIMES ARGS…

The consumer gets SIGKILL when it reaches POINT for the TIMES-th time; with --pause it gets SIGSTOP.
The points are the steps of the loop, in its order.
"""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from confluent_kafka import Producer

from voting_consumer import cli, decisions, in_flight, publisher
from voting_core.database import decisions as stored_decisions

__all__ = ["POINTS"]

Install = Callable[[Callable[[], None]], None]
"""Installs a callback at a point."""


def before(owner: Any, name: str) -> Install:
    """Return the point just before a function is called."""

    def install(callback: Callable[[], None]) -> None:
        function = getattr(owner, name)

        def replacement(*args: Any, **kwargs: Any) -> Any:
            callback()
            return function(*args, **kwargs)

        setattr(owner, name, replacement)

    return install


def after(owner: Any, name: str) -> Install:
    """Return the point just after a function has returned."""

    def install(callback: Callable[[], None]) -> None:
        function = getattr(owner, name)

        def replacement(*args: Any, **kwargs: Any) -> Any:
            result = function(*args, **kwargs)
            callback()
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


POINTS: dict[str, Install] = {
    "polled": before(decisions.Decider, "decide"),
    "partitions locked": after(stored_decisions, "lock_partitions"),
    "votes inserted": after(stored_decisions, "insert_votes"),
    "rejections inserted": after(stored_decisions, "insert_rejections"),
    "decisions committed": after(decisions.Decider, "decide"),
    "transaction begun": after(KillableProducer, "begin_transaction"),
    "records produced": before(KillableProducer, "send_offsets_to_transaction"),
    "offsets sent": after(KillableProducer, "send_offsets_to_transaction"),
    "transaction committed": after(KillableProducer, "commit_transaction"),
    "batch done": after(in_flight.BatchesInFlight, "finish_first"),
}


def main() -> None:
    """Install the point and run the consumer."""
    number = signal.SIGKILL
    if sys.argv[1] == "--pause":
        number = signal.SIGSTOP
        del sys.argv[1]
    point, times = sys.argv[1], int(sys.argv[2])
    reached = 0

    def count() -> None:
        nonlocal reached
        reached += 1
        if reached == times:
            os.kill(os.getpid(), number)

    vars(publisher)["Producer"] = KillableProducer
    POINTS[point](count)
    sys.argv[1:] = sys.argv[3:]
    cli.main()


if __name__ == "__main__":
    main()
