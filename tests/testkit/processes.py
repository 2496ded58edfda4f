"""Modules and demos that bring up a stack of their own."""

import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from testkit.paths import module_path
from voting_infra import Child
from voting_infra.service_commands import environment_without_settings

__all__ = ["Output", "log_of", "run_demo", "run_module", "running_demo"]


def run_module(
    module: str, *args: str, timeout: float, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a module to its end."""
    return subprocess.run(
        [sys.executable, "-m", module, *args],
        env=(env or environment_without_settings()) | {"PYTHONPATH": module_path()},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def run_demo(
    *args: str, timeout: float = 300.0, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the demo without a browser to its end."""
    return run_module("voting_infra.demo", "--headless", *args, timeout=timeout, env=env)


def log_of(child: Child) -> str:
    """Return what a child has logged so far."""
    return child.log_path.read_text(encoding="utf-8", errors="replace")


class Output:
    """The lines that a running process prints, with a way to wait for one."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines: list[str] = []
        self._ended = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._collect, args=(lines,), daemon=True)
        self._thread.start()

    def wait_for(self, text: str, timeout: float) -> str:
        """Return the first line that contains a text, waiting for it.

        Raises:
            AssertionError: There is none within the timeout, in seconds, or the output has ended.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._find(text) is not None, timeout)
            line = self._find(text)
            assert line is not None, f"no line with {text!r} in:\n{self}"
            return line

    def __str__(self) -> str:
        return "\n".join(self._lines)

    def join(self) -> None:
        """Wait for the end of the output."""
        self._thread.join()

    def _find(self, text: str) -> str | None:
        return next((line for line in self._lines if text in line), None)

    def _collect(self, lines: Iterable[str]) -> None:
        for line in lines:
            with self._changed:
                self._lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()


@contextmanager
def running_demo(*args: str) -> Iterator[tuple[subprocess.Popen[str], Output]]:
    """Run the demo in a session of its own, and kill it at the end if it still runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "voting_infra.demo", *args],
        env=environment_without_settings(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    output = Output(process.stdout)
    try:
        yield process, output
    except BaseException:
        # The report of a test that fails shows it.
        print(output)
        raise
    finally:
        process.kill()
        process.wait()
        output.join()
        process.stdout.close()
