"""The schedule of faults and the results files that are replayed meanwhile."""

from pathlib import Path

import pytest

from chaos.results_files import write_results_files
from chaos.schedule import KILLS, PAUSES, VICTIMS, make_schedule
from testkit.checker.results_file import plain_totals


def test_a_seed_gives_one_schedule() -> None:
    """The same seed gives the same events, another seed gives others."""
    assert make_schedule("1", 40) == make_schedule("1", 40)
    assert make_schedule("1", 40) != make_schedule("2", 40)


@pytest.mark.parametrize("kills", [1, 6, 13, 30, 100])
def test_a_schedule_kills_as_often_as_asked(kills: int) -> None:
    """As many events kill, and there is one pause more for every ten kills."""
    events = make_schedule("1", kills)
    assert sum(event.kills for event in events) == kills
    assert len(events) == kills + kills // 10


@pytest.mark.parametrize("seed", ["1", "2", "3"])
def test_a_schedule_kills_every_kind_of_process(seed: str) -> None:
    """Six kills hit each kind of process, thirteen are of every kind, forty have every pause."""
    assert {event.kind for event in make_schedule(seed, 6)} == set(VICTIMS)
    assert {event.kind for event in make_schedule(seed, 13) if event.kills} == set(KILLS)
    assert {event.kind for event in make_schedule(seed, 40)} == {*KILLS, *PAUSES}


def test_a_hundred_kills_fit_into_twenty_minutes() -> None:
    """The waits of the long schedule take well below the time that a run may take."""
    for seed in "12345":
        assert sum(event.delay + event.duration for event in make_schedule(seed, 100)) < 1000


def test_results_files_hold_exactly_the_voters_asked_for(tmp_path: Path) -> None:
    """All files together have that many votes, and no two files are the same."""
    paths = write_results_files(tmp_path, voters=1001, count=7, seed="1")
    assert plain_totals(paths).total() == 1001
    assert len({path.read_bytes() for path in paths}) == 7
