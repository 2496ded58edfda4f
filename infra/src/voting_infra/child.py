"""One supervised child process."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

from voting_infra import _reaper
from voting_infra.exceptions import ChildExited, ChildTimeout, SupervisionError
from voting_infra.logs import tail
from voting_infra.reaper import Reaper

# The child waits for a word of its parent before it becomes the program: until then it is not
# guarded, and a parent that is killed meanwhile closes the pipe, which ends it too.
_GATE = 'read -r go && exec "$@" </dev/null'

# What is left of a family whose leader ended by itself gets this long to end as well.
_LEFTOVERS_GRACE_S = 5.0


@attrs.frozen
class Account:
    """An operating system account to run a child as (root only).

    Attributes:
        uid: User id.
        gid: Group id; there are no supplementary groups.
    """

    uid: int
    gid: int


@attrs.frozen(kw_only=True)
class Command:
    """What to run.

    Attributes:
        name: What messages call it.
        argv: The program and its arguments; the program is looked up on the `PATH` of `env`.
        log_path: Where its output is appended to.
        env: Its whole environment; this process's own by default.
        cwd: Its working directory; this process's own by default.
        account: Who runs it; by default who runs this process.
        stop_signal: What asks it to end.
    """

    name: str
    argv: Sequence[str | os.PathLike[str]]
    log_path: Path
    env: Mapping[str, str] | None = None
    cwd: Path | None = None
    account: Account | None = None
    stop_signal: signal.Signals = signal.SIGTERM


class Child:
    """A child process together with its family: its descendants and its session.

    When it ends, what is left of its session is ended too, and after `stop` or `kill` all its
    descendants. It has a session of its own, so the terminal's Ctrl-C reaches only this process,
    which decides what to do about it. The methods may be called from any thread, and on a child
    that has ended.
    """

    def __init__(self, command: Command, reaper: Reaper) -> None:
        """Makes the process, which does nothing before `release`.

        Args:
            command: What to run.
            reaper: Who ends it if this process cannot.

        Raises:
            SupervisionError: There is no such program, or it cannot be started.
        """
        self.command = command
        self._reaper = reaper
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._returncode: int | None = None
        self._family: set[int] = set()
        self._max_rss = 0
        self._last_peak: int | None = None
        self._rss_floor = _peak_of(os.getpid())
        self._process = _spawn(command)
        reaper.guard_process(self.pid, command.stop_signal)
        self._waiter = threading.Thread(
            target=self._await_end, name=f"wait-{command.name}", daemon=True
        )
        self._waiter.start()

    def release(self) -> None:
        """Lets the process become the program."""
        gate = self._process.stdin
        assert gate is not None
        # Somebody may have ended the child already; then its end is what there is to report.
        with contextlib.suppress(BrokenPipeError), gate:
            gate.write(b"go\n")

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.command.name

    @property
    def log_path(self) -> Path:
        """Where its output goes."""
        return self.command.log_path

    @property
    def pid(self) -> int:
        """Its process id, which is also that of its process group and session."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Its exit status, negative for the signal that ended it; None while it runs."""
        return self._returncode

    @property
    def peak_memory(self) -> int | None:
        """The most resident memory that the process has had so far, in bytes.

        For a running process, where the kernel tells (`VmHWM` in proc(5)), and None elsewhere. For
        an ended one from `ru_maxrss` in getrusage(2), with the children that it waited for. The
        kernel counts there the moment between fork and exec too, in which a child is as large as
        its parent; what is not above that is replaced by what `stop` read just before, if it did.
        """
        if self._returncode is None:
            return _peak_of(self.pid) or self._last_peak
        if self._max_rss <= (self._rss_floor or 0) and self._last_peak is not None:
            return self._last_peak
        return self._max_rss

    def check(self) -> None:
        """Does nothing while the child runs.

        Raises:
            ChildExited: It has ended; with the last lines of its log.
        """
        if self._returncode is not None:
            how = describe_exit(self._returncode)
            raise ChildExited(self.name, how, self.log_path, tail(self.log_path))

    def wait(self, timeout: float | None = None) -> int:
        """Waits until the child and its family have ended.

        Args:
            timeout: Seconds; None waits for ever.

        Returns:
            Its exit status, negative for the signal that ended it.

        Raises:
            ChildTimeout: It still runs.
        """
        if not self._ended.wait(timeout):
            raise ChildTimeout(self.name, f"has not ended within {timeout:g} s", self.log_path)
        assert self._returncode is not None
        return self._returncode

    def ask_to_stop(self) -> None:
        """Sends the stop signal and returns at once; a paused child is resumed."""
        with self._lock:
            if self._returncode is None:
                self._last_peak = _peak_of(self.pid)
                # Noted now: descendants in other sessions are not found without their leader.
                self._family = _reaper.family([self.pid])
                _reaper.send([self.pid], self.command.stop_signal)
                _reaper.send(self._family, signal.SIGCONT)

    def stop(self, timeout: float = 10.0) -> int:
        """Asks the child to end, and kills its family if it has not after the timeout.

        Args:
            timeout: Seconds.

        Returns:
            Its exit status, negative for the signal that ended it.

        Raises:
            SupervisionError: Somebody of its family survives even that.
        """
        self.ask_to_stop()
        return self.wait_or_kill(timeout)

    def wait_or_kill(self, timeout: float) -> int:
        """Waits for a child that has been asked to end, and kills its family after the timeout.

        Args:
            timeout: Seconds.

        Returns:
            Its exit status, negative for the signal that ended it.

        Raises:
            SupervisionError: Somebody of its family survives even that.
        """
        if self._ended.wait(timeout):
            return self.wait()
        return self.kill()

    def kill(self) -> int:
        """Kills the whole family and waits until it is gone.

        Returns:
            Its exit status, negative for the signal that ended it.

        Raises:
            SupervisionError: Somebody survives.
        """
        with self._lock:
            if self._returncode is None:
                self._last_peak = _peak_of(self.pid) or self._last_peak
                try:
                    _reaper.kill_families({self.pid, *self._family})
                except TimeoutError as error:
                    raise SupervisionError(f"{self.name}: {error}") from error
        return self.wait()

    def kill_leader(self) -> None:
        """Kills the process alone, at once, and does not wait.

        What is left of its session is ended as after any other end: asked first, killed later.
        """
        with self._lock:
            if self._returncode is None:
                _reaper.send([self.pid], signal.SIGKILL)

    def pause(self) -> None:
        """Stops the whole family from running until `resume`; it keeps its connections."""
        with self._lock:
            if self._returncode is None:
                # The leader first: it starts no more children while they are looked for.
                _reaper.send([self.pid], signal.SIGSTOP)
                _reaper.send(_reaper.family([self.pid]), signal.SIGSTOP)

    def resume(self) -> None:
        """Lets a paused family run again."""
        with self._lock:
            if self._returncode is None:
                _reaper.send(_reaper.family([self.pid]), signal.SIGCONT)

    def _await_end(self) -> None:
        # Until it is reaped the process id stays its own, so no signal can hit another process.
        if hasattr(os, "waitid"):
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
            self._end_leftovers()
        with self._lock:
            _, status, usage = os.wait4(self.pid, 0)
            self._max_rss = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
            self._returncode = self._process.returncode = os.waitstatus_to_exitcode(status)
        try:
            self._reaper.release_process(self.pid)
        finally:
            self._ended.set()

    def _end_leftovers(self) -> None:
        try:
            left = dict.fromkeys({self.pid, *self._family}, signal.SIGTERM)
            _reaper.end_families(left, _LEFTOVERS_GRACE_S)
        except TimeoutError as error:
            with self.log_path.open("a") as log:
                print(f"{self.name}: {error}", file=log)


def describe_exit(returncode: int) -> str:
    """Puts an exit status into words.

    Args:
        returncode: As of `Child.returncode`.
    """
    if returncode >= 0:
        return f"ended with exit status {returncode}"
    try:
        return f"was ended by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"was ended by signal {-returncode}"


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
                ["/bin/sh", "-c", _GATE, command.name, found, *command.argv[1:]],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                bufsize=0,
                cwd=command.cwd,
                env=env,
                start_new_session=True,
                user=account.uid if account else None,
                group=account.gid if account else None,
                extra_groups=[] if account else None,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise SupervisionError(f"{command.name} cannot be started: {error}") from error


def _peak_of(pid: int) -> int | None:
    """Reads the peak resident memory of a running process, in bytes."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return None
