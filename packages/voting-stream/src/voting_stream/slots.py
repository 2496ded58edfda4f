"""The task slots of real-time mode, whose tasks all run at the same time and for minutes."""

import os
import time
from typing import Any

from pyspark.sql import SparkSession

from voting_core.exceptions import FatalError
from voting_core.service.signals import StopSignal
from voting_stream.settings import REAL_TIME, StreamSettings

SLOT_SECONDS = 60.0
"""How long to wait for the executors of a cluster, in seconds."""


def default_master(settings: StreamSettings, partitions: int) -> str:
    """Return the master of a driver that runs everything itself.

    Args:
        settings: Those of the stream.
        partitions: Number of partitions of `votes_topic`.
    """
    if settings.trigger != REAL_TIME:
        return "local[*]"
    # Most tasks wait most of the time, so there may be more of them than cores.
    return f"local[{max(partitions + settings.shuffle_partitions, os.cpu_count() or 1)}]"


def check_slots(
    spark: SparkSession, settings: StreamSettings, partitions: int, stop: StopSignal
) -> None:
    """Check that all tasks of real-time mode can run at the same time.

    The executors of a cluster may still be starting, and are waited for until a stop is requested.

    Raises:
        FatalError: There are too few slots, on a cluster after a minute.
    """
    master = str(spark.sparkContext.master)
    needed = partitions + settings.shuffle_partitions
    deadline = time.monotonic() + SLOT_SECONDS
    while (found := _slots(spark)) < needed and not stop.requested:
        if master.startswith("local") or time.monotonic() > deadline:
            raise FatalError(
                f"real-time mode runs {needed} tasks at the same time, one for each of the "
                f"{partitions} partitions of votes_topic and of the {settings.shuffle_partitions} "
                f"shuffle partitions, but {master} has {found} task slots: add "
                "cores, or use micro-batches with --trigger '1 second'"
            )
        time.sleep(0.2)


def _slots(spark: SparkSession) -> int:
    context: Any = spark.sparkContext._jsc
    context = context.sc()
    profile = context.resourceProfileManager().defaultResourceProfile()
    return int(context.maxNumConcurrentTasks(profile))
