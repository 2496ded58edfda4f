"""The page: the script that Streamlit runs for every visitor.

Only the refreshing part runs repeatedly. It takes one snapshot, so that all its figures are
consistent.
"""

from datetime import UTC, datetime
from html import escape
from pathlib import Path

import streamlit as st

from voting_dashboard import service
from voting_dashboard.figures import chart_images
from voting_dashboard.location_table import draw_location_table
from voting_dashboard.view_model import Results, Snapshot
from voting_dashboard.wording import (
    age,
    escape_markdown,
    headline,
    leader,
    number,
    percent,
    problems,
    summary,
)

MAX_REFRESH = 60
STYLE = Path(__file__).with_name("page.css")

# Streamlit would fetch a named symbol from another site.
ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><g fill="none" stroke-width="6">'
    '<path stroke="#0072b2" d="M16 4a12 12 0 0 1 0 24"/>'
    '<path stroke="#d55e00" d="M16 28a12 12 0 0 1 0-24"/></g></svg>'
)


def main() -> None:
    """Draw the page."""
    st.set_page_config(page_title="Election results", page_icon=ICON, layout="wide")
    st.html(STYLE)
    default = service.current_settings().dashboard.refresh
    seconds = st.session_state.get("refresh", default)
    st.fragment(draw, run_every=seconds)()
    st.divider()
    st.slider(
        "Seconds between updates",
        min_value=1,
        max_value=MAX_REFRESH,
        value=default,
        key="refresh",
        width=320,
    )


def draw() -> None:
    """Draw the refreshing part, from the current snapshot."""
    snapshot = service.shared_reader().snapshot()
    draw_heading(snapshot)
    draw_metrics(snapshot)
    draw_charts(snapshot.results)
    st.header("Turnout by location", anchor=False)
    draw_location_table(snapshot.results.locations)


def draw_heading(snapshot: Snapshot) -> None:
    """Draw the state of the count, and what keeps it from being up to date."""
    lines = problems(snapshot)
    since = age(snapshot.newest, datetime.now(UTC))
    if lines:
        status = "<b>Not up to date</b>"
    elif not snapshot.caught_up:
        status = "<b>Loading results</b>"
    elif snapshot.newest is None:
        status = "<b>Live</b> waiting for the first votes"
    else:
        status = f"<b>Live</b> last change {escape(since)} ago"
    stale = " stale" if lines or not snapshot.caught_up else ""
    st.html(f'<div class="overline{stale}" role="status"><i></i><span>{status}</span></div>')
    for line in lines:
        st.warning(escape_markdown(line), icon=":material/cloud_off:")
    st.title(escape_markdown(headline(snapshot)), anchor=False)
    if snapshot.caught_up:
        st.html(f'<div class="deck">{escape(summary(snapshot.results))}</div>')


def draw_metrics(snapshot: Snapshot) -> None:
    """Draw the totals; those that depend on votes stay unknown until the topics are read."""
    results = snapshot.results
    leading = [candidate.name for candidate in results.leading]
    totals = {
        "Votes counted": number(results.votes if snapshot.caught_up else None),
        "Registered voters": number(results.registered),
        "Turnout": percent(results.turnout if snapshot.caught_up else None),
        "Leading candidate": leader(leading),
        "Age of the data": age(snapshot.newest, datetime.now(UTC)),
    }
    with st.container(key="totals"):
        for label, value in totals.items():
            st.metric(label, escape_markdown(value))


def draw_charts(results: Results) -> None:
    """Draw the charts of the candidates."""
    st.header("Votes by candidate", anchor=False)
    bars, donut = chart_images(results.candidates)
    left, right = st.columns([3, 2], gap="large")
    left.image(bars, caption="Votes and share of each candidate", width="stretch")
    right.image(donut, caption="Share of all votes counted", width="stretch")


if __name__ == "__main__":
    main()
