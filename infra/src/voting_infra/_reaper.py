"""The reaper: a small process that cleans up after a parent which could not.

It reads from its standard input, which is a pipe that only the parent writes to, what the parent
starts and makes: one JSON array a line,

    ["process", pid, stop_signal]    ["gone", pid]
    ["command", argv]                ["needless", argv]
    ["directory", path]              ["removed", path]

The end of the input means that the parent has ended, however it did. What is still on the list
then is ended, run and removed; after an orderly end nothing is. What it does goes to standard
error.

Only the standard library, and little of it: this starts with every stack, and without
site-packages. The supervising side shares the functions on families of processes.
"""

# pathlib takes longer to import than all the rest.
# ruff: noqa: PTH110, PTH123, PTH208

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping

READY = b"ready\n"
GRACE_S = 5.0

_POLL_S = 0.01
_COMMAND_TIMEOUT_S = 120.0


def family(roots: Iterable[int]) -> set[int]:
    """Returns the living processes of some families, zombies left out.

    A family is a process, its descendants, and who shares a session with one of them: a session
    keeps together those whose parent has ended, descent those who opened a session of their own
    (as each PostgreSQL backend does).

    Args:
        roots: Process ids, which need not be alive themselves.
    """
    members = set(roots)
    table = _process_table()
    while True:
        more = {
            pid
            for pid, (parent, session) in table.items()
            if pid not in members and (parent in members or session in members)
        }
        if not more:
            return members & table.keys()
        members |= more


def send(pids: Iterable[int], number: int) -> None:
    """Sends a signal to all of these processes that are still there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def end_families(stop_signals: Mapping[int, int], grace: float) -> None:
    """Ends families: their leaders are asked to stop, after the grace everybody is killed.

    All are asked before any is waited for, so that they stop at the same time.

    Args:
        stop_signals: The leaders, each with the signal that asks it to stop.
        grace: Seconds until everybody is killed.

    Raises:
        TimeoutError: Somebody survives even that.
    """
    known = family(stop_signals)
    for leader, stop_signal in stop_signals.items():
        # A family without its leader: everybody is asked.
        send([leader] if leader in known else family([leader]), stop_signal)
    send(known, signal.SIGCONT)
    deadline = time.monotonic() + grace
    while living := family(known | stop_signals.keys()):
        known |= living
        if time.monotonic() > deadline:
            kill_families(known | stop_signals.keys())
            return
        time.sleep(_POLL_S)


def kill_families(roots: Iterable[int], timeout: float = 10.0) -> None:
    """Kills families and waits until nobody of them is left.

    Args:
        roots: Leaders, and members that may no longer be found from their leader.
        timeout: Seconds.

    Raises:
        TimeoutError: Somebody survives; the kernel does not let them go.
    """
    members = set(roots)
    # Who is stopped starts no more children while the others are looked for.
    send(family(members) & members, signal.SIGSTOP)
    deadline = time.monotonic() + timeout
    while living := family(members):
        members |= living
        send(living, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise TimeoutError(f"processes {sorted(living)} survive SIGKILL")
        # Of a process that is not one's own child no portable call awaits the end.
        time.sleep(_POLL_S)


def _process_table() -> dict[int, tuple[int, int]]:
    """Maps each living process to its parent and its session."""
    if not os.path.exists("/proc/self/stat"):
        return _process_table_of_ps()
    table = {}
    for entry in os.listdir("/proc"):
        if not entry.isdecimal():
            continue
        try:
            with open(f"/proc/{entry}/stat", "rb") as file:
                stat = file.read()
        except (FileNotFoundError, ProcessLookupError):
            continue
        # proc(5): pid (name) state ppid pgrp session …; the name may hold anything.
        state, parent, _, session = stat.rpartition(b")")[2].split(maxsplit=4)[:4]
        if state not in (b"Z", b"X"):
            table[int(entry)] = (int(parent), int(session))
    return table


def _process_table_of_ps() -> dict[int, tuple[int, int]]:
    listing = subprocess.run(
        ["ps", "-A", "-o", "pid=", "-o", "ppid=", "-o", "stat="],
        check=True,
        capture_output=True,
        text=True,
    )
    table = {}
    for line in listing.stdout.splitlines():
        pid, parent, state = line.split(maxsplit=2)
        try:
            session = os.getsid(int(pid))
        except (ProcessLookupError, PermissionError):
            continue
        if not state.startswith("Z"):
            table[int(pid)] = (int(parent), session)
    return table


def _say(text: str) -> None:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S")
    print(f"{stamp} reaper {os.getpid()}: {text}", file=sys.stderr, flush=True)


def _clean_up(
    stop_signals: dict[int, int], commands: list[list[str]], directories: set[str]
) -> None:
    if stop_signals:
        _say(f"the parent has gone; ending the families of {sorted(stop_signals)}")
        try:
            end_families(stop_signals, GRACE_S)
        except (TimeoutError, OSError) as error:
            _say(f"not all have ended: {error}")
    for argv in commands:
        _say(f"the parent has gone; running {argv}")
        try:
            subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, timeout=_COMMAND_TIMEOUT_S)
        except (OSError, subprocess.SubprocessError) as error:
            _say(f"that has failed: {error}")
    if directories:
        # Costs more to import than the rest together, and is seldom needed.
        import shutil

        for path in sorted(directories):
            _say(f"the parent has gone; removing {path}")
            try:
                shutil.rmtree(path)
            except FileNotFoundError:
                pass
            except OSError as error:
                _say(f"{path} stays: {error}")


def main() -> None:
    """Keeps the list until the parent has gone, then cleans up."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    stop_signals: dict[int, int] = {}
    commands: list[list[str]] = []
    directories: set[str] = set()
    os.write(sys.stdout.fileno(), READY)
    for line in sys.stdin:
        if not line.endswith("\n"):
            break  # the parent was killed while it wrote; the child waits for it and ends itself
        match json.loads(line):
            case ["process", pid, stop_signal]:
                stop_signals[pid] = stop_signal
            case ["gone", pid]:
                stop_signals.pop(pid, None)
            case ["command", argv]:
                commands.append(argv)
            case ["needless", argv]:
                commands.remove(argv)
            case ["directory", path]:
                directories.add(path)
            case ["removed", path]:
                directories.discard(path)
            case other:
                _say(f"not understood: {other!r}")
    _clean_up(stop_signals, commands, directories)


if __name__ == "__main__":
    main()
