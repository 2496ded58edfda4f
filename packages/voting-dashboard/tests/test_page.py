"""Tests of the page with a given snapshot."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import attrs
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from voting_dashboard import page, service
from voting_dashboard.settings import DashboardSettings, PageSettings
from voting_dashboard.view_model import (
    Candidate,
    Location,
    Problem,
    Results,
    Snapshot,
    VoterRegister,
    VoteTotals,
    election_results,
)

Show = Callable[[Snapshot], AppTest]


@attrs.define
class FakeReader:
    """A reader with one snapshot."""

    current: Snapshot

    def snapshot(self) -> Snapshot:
        """Return it."""
        return self.current


@pytest.fixture
def show(monkeypatch: pytest.MonkeyPatch) -> Show:
    """Draw the page for a snapshot."""

    def run(snapshot: Snapshot) -> AppTest:
        reader = FakeReader(snapshot)
        monkeypatch.setattr(service, "shared_reader", lambda: reader)
        app = AppTest.from_file(page.__file__, default_timeout=30).run()
        assert not app.exception
        return app

    return run


@pytest.fixture
def counted(totals: VoteTotals, register: VoterRegister) -> Snapshot:
    """60 votes, the newest total 5 s old."""
    newest = datetime.now(UTC) - timedelta(seconds=5)
    return Snapshot(election_results(totals, register), newest, caught_up=True)


@pytest.fixture
def refresh_every_7_s() -> Iterator[None]:
    """Settings with a refresh interval of 7 s."""
    before = service.current_settings()
    service.configure(DashboardSettings(dashboard=PageSettings(refresh=7)))
    yield
    service.configure(before)


def metrics(app: AppTest) -> dict[str, str]:
    """Return the totals by their labels."""
    return {metric.label: metric.value for metric in app.metric}


def written(app: AppTest) -> str:
    """Return the page's HTML texts."""
    return " ".join(html.value for html in app.html)


def test_totals(show: Show, counted: Snapshot) -> None:
    """The page shows the leader, the totals, and the age of the data."""
    app = show(counted)
    assert app.title[0].value == "Ben leads"
    shown = metrics(app)
    assert shown.pop("Age of the data").removesuffix(" s") in {"5", "6", "7", "8", "9"}
    assert shown == {
        "Votes counted": "60",
        "Registered voters": "120",
        "Turnout": "50.0%",
        "Leading candidate": "Ben",
    }
    assert "<b>Live</b>" in written(app)
    assert not app.warning


def test_no_votes(show: Show, register: VoterRegister) -> None:
    """Without votes there is no leader and the data has no age."""
    app = show(Snapshot(election_results(VoteTotals(), register), caught_up=True))
    assert app.title[0].value == "No votes counted yet"
    assert metrics(app) == {
        "Votes counted": "0",
        "Registered voters": "120",
        "Turnout": "0.0%",
        "Leading candidate": "No leader yet",
        "Age of the data": "–",
    }


def test_tie(show: Show, counted: Snapshot) -> None:
    """A tie is shown as one."""
    level = Results((Candidate("a", "A", "", 4), Candidate("b", "B", "", 4)))
    app = show(attrs.evolve(counted, results=level))
    assert app.title[0].value == "A and B are tied"
    assert metrics(app)["Leading candidate"] == "Tie"


def test_charts(show: Show, counted: Snapshot) -> None:
    """The two charts are part of the page, not stored files."""
    images = show(counted).image
    assert len(images) == 2
    assert all(image.value[0].startswith("data:image/svg+xml") for image in images)


def test_outage(show: Show, counted: Snapshot) -> None:
    """A problem has a warning, above the last results."""
    app = show(attrs.evolve(counted, problem=Problem.KAFKA))
    (warning,) = app.warning
    assert warning.value.startswith("The results are not being updated")
    assert "<b>Not up to date</b>" in written(app)
    assert metrics(app)["Votes counted"] == "60"


def test_counting_behind(show: Show, counted: Snapshot) -> None:
    """A count that lags behind is not called live."""
    app = show(attrs.evolve(counted, behind=7))
    assert app.warning[0].value == "Counting is 7 votes behind."
    assert "<b>Live</b>" not in written(app)


def test_before_the_topics_are_read(show: Show) -> None:
    """Until the topics are read no number is taken for the result."""
    app = show(Snapshot())
    assert app.title[0].value == "Loading results"
    assert set(metrics(app).values()) == {"–", "No leader yet"}
    app = show(Snapshot(problem=Problem.ELECTION))
    assert app.title[0].value == "Results unavailable"


def test_table_sorts_all_rows_and_pages(show: Show, counted: Snapshot) -> None:
    """The table sorts all locations, not only those on the page."""
    rows = tuple(Location(f"S{i:02}", (i * 37) % 60, 100, ("Ada",)) for i in range(60))
    app = show(attrs.evolve(counted, results=attrs.evolve(counted.results, locations=rows)))
    assert list(app.table[0].value["Location ↑"]) == [f"S{i:02}" for i in range(15)]
    app.selectbox(key="sort").select("Votes")
    app.selectbox(key="order").select("Descending")
    app.selectbox(key="size").select(25).run()
    assert list(app.table[0].value["Votes ↓"]) == [str(n) for n in range(59, 34, -1)]
    app.pagination(key="page").set_value(3).run()
    assert list(app.table[0].value["Votes ↓"]) == [str(n) for n in range(9, -1, -1)]
    assert "51 to 60 of 60" in app.caption[-1].value
    app.selectbox(key="size").select(100).run()
    assert len(app.table[0].value) == 60
    assert not app.exception


def test_table_shows_each_location(show: Show, counted: Snapshot) -> None:
    """A row has state, votes, registered voters, turnout and leader."""
    table = show(counted).table[0].value
    assert [list(row) for row in table.to_numpy()] == [
        ["North", "40", "50", "80.0%", "Ben"],
        ["South", "20", "40", "50.0%", "Ada"],
        ["West", "0", "30", "0.0%", "–"],
    ]


def test_names_are_not_markdown(show: Show, counted: Snapshot) -> None:
    """Markdown or HTML in a name is shown as it is."""
    odd = (Candidate("a", "*A* <b>$x$</b>", "", 2), Candidate("b", "<script>", "", 1))
    app = show(attrs.evolve(counted, results=Results(odd)))
    assert app.title[0].value.startswith("\\*A\\* \\<b\\>")
    assert "&lt;script&gt;" in written(app)
    assert "<script>" not in written(app)


@pytest.mark.usefixtures("refresh_every_7_s")
def test_refresh_interval(show: Show, counted: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    """A visitor can change the refresh interval, which starts with that of the settings."""
    app = show(counted)
    assert app.slider(key="refresh").value == 7
    intervals: list[object] = []
    fragment = st.fragment

    def spy(func: Callable[[], None], *, run_every: int) -> Callable[[], None]:
        intervals.append(run_every)
        return fragment(func, run_every=run_every)

    monkeypatch.setattr(st, "fragment", spy)
    app.slider(key="refresh").set_value(20).run()
    assert intervals == [20]
