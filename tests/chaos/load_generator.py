"""The load: the producer replays one results file after another until all are sent."""

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from confluent_kafka import OFFSET_END, Consumer, TopicPartition

from testkit.restart_policy import Restarts
from voting_infra import Child, ChildTimeout, Command, Supervisor

__all__ = ["LoadGenerator"]

PRODUCER = "voting-producer"
TOPIC = "voters_topic"
BACKOFF_SECONDS = 1.0
START_SECONDS = 120.0
POLL_SECONDS = 0.2


class LoadGenerator:
    """Sends results files in order; a file whose producer was killed is sent again from the start.

    Attributes:
        last_exit: When a producer ended last, by the monotonic clock.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        bootstrap_servers: str,
        files: Sequence[Path],
        command: Callable[[Path], Command],
        restarts: Restarts,
    ) -> None:
        """Prepare; nothing is sent before `open_up_to`.

        Args:
            supervisor: Runs the producer.
            bootstrap_servers: Where it sends to.
            files: The results files.
            command: Returns the command that sends one of them.
            restarts: Where unexpected exits are counted.
        """
        self._supervisor = supervisor
        self._bootstrap_servers = bootstrap_servers
        self._files = files
        self._command = command
        self._restarts = restarts
        self._changed = threading.Condition()
        self._open = 0
        self._repeat_last = False
        self._child: Child | None = None
        self._killed: Child | None = None
        self._closing = False
        self._sent = 0
        self.last_exit = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="load-generator", daemon=True)
        self._thread.start()

    @property
    def finished(self) -> bool:
        """Whether every file has been sent completely."""
        with self._changed:
            return self._sent == len(self._files) and self._child is None

    def open_up_to(self, share: float) -> None:
        """Send up to this share of the files, 1 for all of them."""
        with self._changed:
            self._open = max(self._open, min(len(self._files), int(share * len(self._files)) + 1))
            self._changed.notify_all()

    def kill(self, after: float) -> None:
        """Kill the producer while it sends.

        If none runs, the next file is opened for it, or the last one sent once more.

        Args:
            after: Seconds that the producer may send before it is killed.

        Raises:
            ChildTimeout: None runs after two minutes.
        """
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            with self._changed:
                if self._child is None:
                    self._open_one()
                self._changed.wait_for(self._is_running, START_SECONDS)
                child = self._child
            if child is not None:
                _await_ballot(self._bootstrap_servers, child)
                _await_end(child, after)
            with self._changed:
                if child is not None and child.returncode is None:
                    self._killed = child
                    child.kill()
                    return
            # It ended too early; the next one gets less time.
            after /= 2
        raise ChildTimeout(PRODUCER, "does not run", self._command(self._files[0]).log_path)

    def close(self) -> None:
        """Send nothing more, and stop the producer that runs."""
        with self._changed:
            self._closing = True
            child = self._child
            self._changed.notify_all()
        if child is not None:
            child.stop()
        self._thread.join()

    def _open_one(self) -> None:
        if self._open < len(self._files):
            self._open += 1
        elif self._sent == len(self._files):
            self._repeat_last = True
        self._changed.notify_all()

    def _is_running(self) -> bool:
        return self._child is not None and self._child.returncode is None

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._closing or self._repeat_last or self._sent < self._open
                )
                if self._closing:
                    return
                repeat, self._repeat_last = self._repeat_last, False
                number = self._sent - 1 if repeat else self._sent
            if self._send(self._files[number]) and not repeat:
                with self._changed:
                    self._sent += 1

    def _send(self, file: Path) -> bool:
        """Send a file until it is complete; return whether it is."""
        while True:
            with self._changed:
                if self._closing:
                    return False
                child = self._child = self._supervisor.start(self._command(file))
                self._changed.notify_all()
            code = child.wait()
            with self._changed:
                self.last_exit = time.monotonic()
                killed = child is self._killed
                if code == 0 and not killed:
                    self._child = None
                    return True
                if self._closing:
                    self._child = None
                    return False
            if not killed:
                self._restarts.add(child)
                time.sleep(BACKOFF_SECONDS)


def _await_ballot(bootstrap_servers: str, producer: Child) -> None:
    """Wait until the next ballot arrives on voters_topic, or the producer ends."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": "load-generator",
            "enable.auto.commit": False,
            "auto.offset.reset": "latest",
        }
    )
    try:
        partitions = consumer.list_topics(TOPIC, timeout=START_SECONDS).topics[TOPIC].partitions
        consumer.assign([TopicPartition(TOPIC, p, OFFSET_END) for p in partitions])
        while producer.returncode is None:
            message = consumer.poll(POLL_SECONDS)
            if message is not None and message.error() is None:
                return
    finally:
        consumer.close()


def _await_end(producer: Child, seconds: float) -> None:
    """Wait until the producer ends, for some seconds at most."""
    try:
        producer.wait(seconds)
    except ChildTimeout:
        return
