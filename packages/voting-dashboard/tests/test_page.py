"""Tests of the page, over a snapshot that a test puts behind it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import attrs
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from voting_dashboard import live, page
from voting_dashboard.settings import DashboardSettings, PageSettings
from voting_dashboard.snapshot import Candidate, Location, Results, Snapshot
from voting_dashboard.tally import Count, Register, results_of

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
        monkeypatch.setattr(live, "shared_reader", lambda: reader)
        app = AppTest.from_file(page.__file__, default_timeout=30).run()
        assert not app.exception
        return app

    return run


@pytest.fixture
def counted(count: Count, register: Register) -> Snapshot:
    """60 votes, the newest total 5 s old."""
    newest = datetime.now(UTC) - timedelta(seconds=5)
    return Snapshot(results_of(count, register), newest, caught_up=True)


def metrics(app: AppTest) -> dict[str, str]:
    """Return the totals by their labels."""
    return {metric.label: metric.value for metric in app.metric}


def written(app: AppTest) -> str:
    """Return the texts around the totals."""
    return " ".join(html.value for html in app.html)


def test_totals(show: Show, counted: Snapshot) -> None:
    """The page names who leads, the totals, and the age of the data."""
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


def test_nothing_counted(show: Show, register: Register) -> None:
    """While nothing is counted nobody leads and the data has no age."""
    app = show(Snapshot(results_of(Count(), register), caught_up=True))
    assert app.title[0].value == "No votes counted yet"
    assert metrics(app) == {
        "Votes counted": "0",
        "Registered voters": "120",
        "Turnout": "0.0%",
        "Leading candidate": "Nobody yet",
        "Age of the data": "–",
    }


def test_tie(show: Show, counted: Snapshot) -> None:
    """A tie is called one."""
    level = Results((Candidate("a", "A", "", 4), Candidate("b", "B", "", 4)))
    app = show(attrs.evolve(counted, results=level))
    assert app.title[0].value == "A and B are tied"
    assert metrics(app)["Leading candidate"] == "Tie"


def test_charts(show: Show, counted: Snapshot) -> None:
    """There are two charts, and nothing is stored for them."""
    images = show(counted).image
    assert len(images) == 2
    assert all(image.value[0].startswith("data:image/svg+xml") for image in images)


def test_outage(show: Show, counted: Snapshot) -> None:
    """What cannot be updated is said in a line each, above the last figures."""
    app = show(attrs.evolve(counted, kafka_problem="no broker", database_problem="refused"))
    assert [warning.value.split(":")[0] for warning in app.warning] == [
        "The count is not being updated\\",
        "The register is not being updated\\",
    ]
    assert "<b>Not up to date</b>" in written(app)
    assert metrics(app)["Votes counted"] == "60"


def test_before_anything_is_read(show: Show) -> None:
    """Before the count is read there is no number that could be taken for one."""
    app = show(Snapshot())
    assert app.title[0].value == "Reading the count so far"
    assert set(metrics(app).values()) == {"–", "Nobody yet"}
    app = show(Snapshot(kafka_problem="topic votes_topic does not exist"))
    assert app.title[0].value == "The count cannot be read"


def test_table_sorts_all_rows_and_pages(show: Show, counted: Snapshot) -> None:
    """Sorting is over all locations, not only over those on the page."""
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
    """A row holds state, votes, registered voters, turnout and who leads there."""
    table = show(counted).table[0].value
    assert [list(row) for row in table.to_numpy()] == [
        ["North", "40", "50", "80.0%", "Ben"],
        ["South", "20", "40", "50.0%", "Ada"],
        ["West", "0", "30", "0.0%", "–"],
    ]


def test_names_are_not_markdown(show: Show, counted: Snapshot) -> None:
    """What looks like Markdown or HTML in a name is shown as it is."""
    odd = (Candidate("a", "*A* <b>$x$</b>", "", 2), Candidate("b", "<script>", "", 1))
    app = show(attrs.evolve(counted, results=Results(odd)))
    assert app.title[0].value.startswith("\\*A\\* \\<b\\>")
    assert "&lt;script&gt;" in written(app)
    assert "<script>" not in written(app)


def test_refresh_interval(show: Show, counted: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    """A visitor chooses the interval; it begins with the one of the settings."""
    monkeypatch.setattr(live, "_settings", DashboardSettings(dashboard=PageSettings(refresh=7)))
    app = show(counted)
    assert app.slider(key="refresh").value == 7
    asked: list[object] = []
    fragment = st.fragment

    def spy(func: Callable[[], None], *, run_every: int) -> Callable[[], None]:
        asked.append(run_every)
        return fragment(func, run_every=run_every)

    monkeypatch.setattr(st, "fragment", spy)
    app.slider(key="refresh").set_value(20).run()
    assert asked == [20]
