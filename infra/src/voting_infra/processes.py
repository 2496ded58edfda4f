"""Child processes: what to run, and one that runs.

On Linux the kernel ends a child with SIGKILL when this process ends, however it does
(`PR_SET_PDEATHSIG` in prctl(2)); elsewhere a child outlives a parent that is killed.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from pwd import struct_passwd

import attrs
import psutil

from voting_infra.exceptions import ChildExited, ChildTimeout, SupervisionError

# What is left of a family whose leader ended by itself gets this long to end as well.
_LEFTOVERS_GRACE_S = 5.0
_KILL_TIMEOUT_S = 10.0
_POLL_S = 0.01


@attrs.frozen(kw_only=True)
class Command:
    """What to run.

    Attributes:
        name: What messages call it.
        argv: The program and its arguments; the program is looked up on the `PATH` of `env`.
        log_path: Where its output is appended to.
        env: Its whole environment; this process's own by default.
        cwd: Its working directory; this process's own by default.
        account: Runs it; by default the account of this process. Only root can change it.
        stop_signal: Asks it to end.
        death_signal: Ends it when this process has been killed; Linux only.
    """

    name: str
    argv: Sequence[str | os.PathLike[str]]
    log_path: Path
    env: Mapping[str, str] | None = None
    cwd: Path | None = None
    account: struct_passwd | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL


class Child:
    """A child process, the leader of its family: its descendants and its session.

    When the leader ends, what is left of the family is ended too. It has a session of its own, so
    the terminal's Ctrl-C reaches only this process, which decides what to do about it. The methods
    may be called from any thread, and on a child that has ended.

    Attributes:
        name: What messages call it.
        log_path: Where its output goes.
        pid: The leader's process id, which is also that of its process group and session.
    """

    def __init__(self, command: Command, on_pause: Callable[[int], None]) -> None:
        """Start the process, from a thread that ends no earlier than the process shall.

        Args:
            command: What to run.
            on_pause: Called with the id of each process just before it is paused.

        Raises:
            SupervisionError: There is no such program, or it cannot be started.
        """
        self.name = command.name
        self.log_path = command.log_path
        self._stop_signal = command.stop_signal
        self._on_pause = on_pause
        self._returncode: int | None = None
        self._ended = threading.Event()
        self._family: set[psutil.Process] = set()
        self._peak: int | None = None
        # The kernel counts the moment between fork and exec as well, when a child is as large as
        # its parent: a peak up to here is not the child's.
        self._peak_floor = _peak_of(os.getpid()) or 0
        self._process = _spawn(command)
        self.pid = self._process.pid
        self._leader = psutil.Process(self.pid)
        threading.Thread(target=self._await_end, name=f"wait-{command.name}", daemon=True).start()

    @property
    def returncode(self) -> int | None:
        """Its exit status, negative for the signal that ended it; None while it runs."""
        return self._returncode

    @property
    def peak_memory(self) -> int | None:
        """The most resident memory of the leader so far, in bytes; None if it is unknown."""
        return self._peak if self._returncode is not None else _peak_of(self.pid) or self._peak

    def check(self) -> None:
        """Do nothing while the child runs.

        Raises:
            ChildExited: It has ended; with the last lines of its log.
        """
        if self._returncode is not None:
            raise ChildExited(self.name, describe_exit(self._returncode), self.log_path)

    def wait(self, timeout: float | None = None) -> int:
        """Wait until the child and its family have ended, and return the leader's exit status.

        Args:
            timeout: Seconds; None for no limit.

        Raises:
            ChildTimeout: It still runs.
        """
        if not self._ended.wait(timeout):
            raise ChildTimeout(self.name, f"has not ended within {timeout:g} s", self.log_path)
        assert self._returncode is not None
        return self._returncode

    def stop(self, timeout: float = 10.0) -> int:
        """Ask the child to end, wait for that, and return the leader's exit status.

        A paused child is resumed. The family is killed if it has not ended within the timeout, in
        seconds.

        Raises:
            SupervisionError: A process of the family survives.
        """
        if self._returncode is None:
            self._peak = _peak_of(self.pid)
            # Descendants in other sessions cannot be found once the leader has ended.
            self._family = self._members()
            _send([self._leader], self._stop_signal)
            _send(self._family, signal.SIGCONT)
        return self.wait() if self._ended.wait(timeout) else self.kill()

    def kill(self) -> int:
        """Kill the whole family, wait until it is gone, and return the leader's exit status.

        Raises:
            SupervisionError: A process of the family survives.
        """
        if self._returncode is None:
            self._peak = _peak_of(self.pid) or self._peak
            # A stopped process starts no more children while the others are looked for.
            family = self._stop_running(lambda _: None) | self._family
            _send(family, signal.SIGKILL)
            if survivors := _await_end_of(family, _KILL_TIMEOUT_S):
                raise SupervisionError(f"{self.name}: {survivors} survive SIGKILL")
        return self.wait()

    def kill_leader(self) -> None:
        """Kill the leader alone and return at once; what is left is ended as after any end."""
        if self._returncode is None:
            _send([self._leader], signal.SIGKILL)

    def pause(self) -> None:
        """Stop the whole family from running until `resume`; it keeps its connections."""
        if self._returncode is None:
            self._stop_running(self._on_pause)

    def resume(self) -> None:
        """Let a paused family run again."""
        if self._returncode is None:
            _send(self._members(), signal.SIGCONT)

    def _members(self) -> set[psutil.Process]:
        """Return the processes of the family.

        Descent finds those that opened a session of their own, as each PostgreSQL backend does; a
        session keeps together those whose parent has ended.
        """
        members = {self._leader}
        with contextlib.suppress(psutil.NoSuchProcess):
            members.update(self._leader.children(recursive=True))
        for pid in psutil.pids():
            with contextlib.suppress(ProcessLookupError, PermissionError, psutil.NoSuchProcess):
                if os.getsid(pid) == self.pid:
                    members.add(psutil.Process(pid))
        return members

    def _stop_running(self, before: Callable[[int], None]) -> set[psutil.Process]:
        """Send SIGSTOP to the family, the leader first, until no new member turns up."""
        stopped: set[psutil.Process] = set()
        more = {self._leader}
        while more:
            for process in more:
                before(process.pid)
            _send(more, signal.SIGSTOP)
            stopped |= more
            more = self._members() - stopped
        return stopped

    def _await_end(self) -> None:
        # Until the leader is reaped no other process or session can have its id.
        if hasattr(os, "waitid"):
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
            self._end_leftovers()
        _, status, usage = os.wait4(self.pid, 0)
        peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        if peak > self._peak_floor or self._peak is None:
            self._peak = peak
        self._returncode = self._process.returncode = os.waitstatus_to_exitcode(status)
        self._ended.set()

    def _end_leftovers(self) -> None:
        leftovers = (self._members() | self._family) - {self._leader}
        _send(leftovers, signal.SIGTERM)
        _send(leftovers, signal.SIGCONT)
        _send(_await_end_of(leftovers, _LEFTOVERS_GRACE_S), signal.SIGKILL)
        if survivors := _await_end_of(leftovers, _KILL_TIMEOUT_S):
            with self.log_path.open("a") as log:
                print(f"{self.name}: survive SIGKILL: {survivors}", file=log)


def describe_exit(returncode: int) -> str:
    """Return the exit status of a child in words."""
    if returncode >= 0:
        return f"ended with exit status {returncode}"
    try:
        return f"was ended by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"was ended by signal {-returncode}"


def launcher(parent: int, death_signal: signal.Signals) -> list[str]:
    """Return the program that a child starts as; it becomes the program in its further arguments.

    Args:
        parent: Process id of the parent; the child of another one ends without doing anything.
        death_signal: What the kernel sends to the child when its parent has ended.

    Raises:
        SupervisionError: util-linux is not installed.
    """
    if sys.platform != "linux":
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise SupervisionError("there is no setpriv, which is part of util-linux; install that")
    number = death_signal.name.removeprefix("SIG")
    # A parent that ends before the kernel has been asked to watch it is no longer the parent.
    check = '[ "$PPID" = "$0" ] && exec "$@"'
    return [setpriv, f"--pdeathsig={number}", "/bin/sh", "-c", check, str(parent)]


def _spawn(command: Command) -> subprocess.Popen[bytes]:
    env = dict(os.environ if command.env is None else command.env)
    program = os.fspath(command.argv[0])
    found = shutil.which(program, path=env.get("PATH"))
    if found is None:
        raise SupervisionError(f"{command.name}: there is no program {program}")
    command.log_path.parent.mkdir(parents=True, exist_ok=True)
    account = command.account
    with command.log_path.open("ab") as log:
        try:
            return subprocess.Popen(
                [*launcher(os.getpid(), command.death_signal), found, *command.argv[1:]],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=command.cwd,
                env=env,
                start_new_session=True,
                user=account.pw_uid if account else None,
                group=account.pw_gid if account else None,
                extra_groups=[] if account else None,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise SupervisionError(f"{command.name} cannot be started: {error}") from error


def _send(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        # psutil sends nothing to a process that only has the id of one that has ended.
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def _await_end_of(processes: set[psutil.Process], timeout: float) -> set[psutil.Process]:
    """Wait until processes have ended and return those that have not."""
    # psutil.wait_procs would also wait for zombies, which stay where no init reaps them.
    deadline = time.monotonic() + timeout
    while alive := {process for process in processes if is_alive(process)}:
        if time.monotonic() > deadline:
            break
        time.sleep(_POLL_S)
    return alive


def is_alive(process: psutil.Process) -> bool:
    """Return whether a process has not ended; a zombie has."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _peak_of(pid: int) -> int | None:
    """Return the peak resident memory of a running process in bytes, where proc(5) has it."""
    try:
        found = re.search(r"^VmHWM:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.M)
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(found[1]) * 1024 if found else None
