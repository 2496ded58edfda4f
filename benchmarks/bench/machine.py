"""The machine, its software, and what else it did during the measurement."""

import os
import platform
import re
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import attrs
import psutil

from bench.meter import tree_cpu_seconds
from voting_core.service.java import find_java

__all__ = ["OtherLoad", "available_cores", "describe_machine"]

_PACKAGES = (
    "confluent-kafka",
    "psycopg",
    "pyspark",
    "voting-core",
    "voting-producer",
    "voting-consumer",
    "voting-stream",
)


def available_cores() -> int:
    """Return the number of cores that this process, and what it starts, may run on."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def describe_machine() -> dict[str, Any]:
    """Return the machine's processor, cores, memory, system and software."""
    java = find_java(os.environ)
    return {
        "processor": _processor(),
        "cores": available_cores(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "java": java.version,
        "packages": {name: version(name) for name in _PACKAGES},
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*: (.+)$", info.read_text(), re.M) if info.exists() else None
    return found[1] if found else platform.processor() or platform.machine()


@attrs.define
class OtherLoad:
    """Measures the CPU time that processes other than this one and its descendants take.

    Attributes:
        load_before: The load average of the last minute at the start.
    """

    load_before: float = attrs.field(factory=lambda: os.getloadavg()[0], init=False)
    _time: float = attrs.field(factory=time.monotonic, init=False)
    _all: float = attrs.field(factory=lambda: _busy_seconds(), init=False)
    _own: float = attrs.field(factory=tree_cpu_seconds, init=False)

    def cores(self) -> float:
        """Return how many cores others have kept busy since the start, on average."""
        others = (_busy_seconds() - self._all) - (tree_cpu_seconds() - self._own)
        return max(0.0, others) / (time.monotonic() - self._time)

    def as_json(self) -> dict[str, Any]:
        """Return the load before and during the measurement as plain values."""
        return {
            "load_before": round(self.load_before, 2),
            "load_after": round(os.getloadavg()[0], 2),
            "cores_taken_by_others": round(self.cores(), 2),
            "seconds": round(time.monotonic() - self._time, 1),
        }


def _busy_seconds() -> float:
    times = psutil.cpu_times()
    return sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0)
