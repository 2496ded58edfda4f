"""CPU time and memory of processes with all their descendants, sampled while they run."""

import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import attrs
import psutil

__all__ = ["Meter", "Sample", "metering", "tree_cpu_seconds"]

INTERVAL_SECONDS = 0.2


@attrs.frozen
class Sample:
    """What a process and its descendants had used at a time.

    Attributes:
        time: In seconds since 1970.
        cpu: Seconds of CPU time, including that of descendants that have ended.
        memory: Resident bytes.
    """

    time: float
    cpu: float
    memory: int


class Meter:
    """Samples of some process trees, by name."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = dict(pids)
        self._samples: dict[str, list[Sample]] = defaultdict(list)

    def sample(self) -> None:
        """Take a sample of each tree that still exists."""
        now = time.time()
        for name, (cpu, memory) in _trees(self._pids).items():
            self._samples[name].append(Sample(now, cpu, memory))

    def cpu_seconds(self, name: str, start: float, end: float) -> float:
        """Return the CPU time of a tree between two times, interpolated between samples."""
        samples = self._samples[name]
        return _cpu_at(samples, end) - _cpu_at(samples, start)

    def cpu_us_per_vote(self, start: float, end: float, votes: int) -> dict[str, float]:
        """Return the microseconds of each tree per vote between two times."""
        return {
            name: 1e6 * self.cpu_seconds(name, start, end) / votes for name in sorted(self._samples)
        }

    def peak_memory(self, name: str) -> int:
        """Return the greatest resident memory of a tree, in bytes."""
        return max((sample.memory for sample in self._samples[name]), default=0)


@contextmanager
def metering(pids: Mapping[str, int]) -> Iterator[Meter]:
    """Sample process trees in the background."""
    meter = Meter(pids)
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(INTERVAL_SECONDS):
            meter.sample()

    meter.sample()
    thread = threading.Thread(target=run, name="meter", daemon=True)
    thread.start()
    try:
        yield meter
    finally:
        stop.set()
        thread.join()
        meter.sample()


def tree_cpu_seconds(pid: int | None = None) -> float:
    """Return the CPU time of a process, this one by default, with all its descendants."""
    return _trees({"": os.getpid() if pid is None else pid})[""][0]


def _cpu_at(samples: list[Sample], moment: float) -> float:
    before = None
    for sample in samples:
        if sample.time >= moment:
            if before is None:
                return sample.cpu
            share = (moment - before.time) / (sample.time - before.time)
            return before.cpu + share * (sample.cpu - before.cpu)
        before = sample
    return before.cpu if before is not None else 0.0


def _trees(pids: Mapping[str, int]) -> dict[str, tuple[float, int]]:
    """Return CPU seconds and resident bytes of each tree, in one pass over all processes."""
    facts: dict[int, tuple[float, int]] = {}
    children: dict[int, list[int]] = defaultdict(list)
    for process in psutil.process_iter():
        try:
            with process.oneshot():
                times, parent = process.cpu_times(), process.ppid()
                memory = process.memory_info().rss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        # Descendants that have ended, and that their parent has waited for.
        ended = times.children_user + times.children_system
        facts[process.pid] = (times.user + times.system + ended, memory)
        children[parent].append(process.pid)
    trees = {}
    for name, root in pids.items():
        cpu, memory, waiting = 0.0, 0, [root]
        while waiting:
            pid = waiting.pop()
            if pid in facts:
                cpu += facts[pid][0]
                memory += facts[pid][1]
                waiting += children[pid]
        if root in facts:
            trees[name] = (cpu, memory)
    return trees
