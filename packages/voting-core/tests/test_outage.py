"""Waiting out an outage, and logging it."""

import attrs
import pytest
from structlog.testing import capture_logs

from voting_core.service.outage import OutageLog, retry_until_available


@attrs.define
class Clock:
    """A clock that waiting moves, which records the waits."""

    now: float = 0.0
    waits: list[float] = attrs.field(factory=list)

    def __call__(self) -> float:
        """Return the time."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Wait."""
        self.waits.append(seconds)
        self.now += seconds


@attrs.define
class Dependency:
    """Unavailable until a time."""

    clock: Clock
    available_at: float
    attempts: list[float] = attrs.field(factory=list)

    def __call__(self) -> str:
        """Return an answer, once available."""
        self.attempts.append(self.clock.now)
        if self.clock.now < self.available_at:
            raise ConnectionError("connection\n refused")
        return "answer"


def wait_for(dependency: Dependency, *, stop_at: float = 1e9, timeout: float | None = None) -> str:
    """Wait for a dependency."""
    clock = dependency.clock
    return retry_until_available(
        dependency,
        retry_on=lambda error: isinstance(error, ConnectionError),
        outage=OutageLog("the dependency", clock=clock),
        should_stop=lambda: clock.now >= stop_at,
        timeout=timeout,
        clock=clock,
        sleep=clock.sleep,
    )


def test_an_outage_of_any_length_is_waited_out() -> None:
    """The pauses grow to five seconds."""
    dependency = Dependency(Clock(), 86_400.0)
    assert wait_for(dependency) == "answer"
    pauses = [b - a for a, b in zip(dependency.attempts, dependency.attempts[1:], strict=False)]
    assert pauses[:5] == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2])
    assert max(pauses) == pytest.approx(5.0)


def test_ten_minutes_take_few_lines() -> None:
    """A line at once, one a minute, and one at the end, which says how long it was."""
    with capture_logs() as logs:
        wait_for(Dependency(Clock(), 600.0))
    assert 10 <= len(logs) <= 12
    assert logs[0]["event"] == "unavailable"
    assert logs[0]["error"] == "connection refused"
    assert logs[-1]["event"] == "available again"
    assert logs[-1]["seconds"] == pytest.approx(600, abs=6)


def test_a_request_to_stop_ends_the_wait() -> None:
    """Within a fraction of a second, not after the pause."""
    dependency = Dependency(Clock(), 1e9)
    with pytest.raises(ConnectionError):
        wait_for(dependency, stop_at=100.0)
    assert dependency.clock.now == pytest.approx(100.0, abs=0.3)


def test_a_timeout_ends_the_wait() -> None:
    """If the operator has set one."""
    dependency = Dependency(Clock(), 1e9)
    with pytest.raises(ConnectionError):
        wait_for(dependency, timeout=30.0)
    assert dependency.clock.now == pytest.approx(30.0, abs=5.1)


def test_another_error_is_no_outage() -> None:
    """It is raised at once, and not logged as an outage."""
    with capture_logs() as logs, pytest.raises(ZeroDivisionError):
        retry_until_available(
            lambda: 1 / 0,
            retry_on=lambda error: isinstance(error, ConnectionError),
            outage=OutageLog("x"),
            should_stop=lambda: False,
        )
    assert logs == []


def test_a_second_outage_is_logged_as_such() -> None:
    """Its duration does not include the first."""
    clock = Clock()
    outage = OutageLog("x", clock=clock)
    with capture_logs() as logs:
        for now, failed in ((0, True), (10, False), (11, True), (15, False), (16, False)):
            clock.now = now
            if failed:
                outage.failed(OSError("gone"))
            else:
                outage.recovered()
            assert outage.is_out is failed
    assert [log["seconds"] for log in logs] == [0.0, 10.0, 0.0, 4.0]
