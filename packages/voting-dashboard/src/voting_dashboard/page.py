"""The page: what Streamlit runs for every visitor.

Only the part that refreshes is run again and again; it takes one snapshot, so that all its figures
belong together.
"""

from datetime import UTC, datetime
from html import escape

import streamlit as st

from voting_dashboard import live
from voting_dashboard.charts import chart_images
from voting_dashboard.snapshot import Results, Snapshot
from voting_dashboard.table import COLUMNS, page_of, sort_locations
from voting_dashboard.wording import (
    age,
    headline,
    leader,
    number,
    percent,
    problems,
    summary,
)

PAGE_SIZES = (10, 15, 25, 50, 100)
LONGEST_REFRESH = 60

# A symbol named to Streamlit would be fetched from another site.
ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><g fill="none" stroke-width="6">'
    '<path stroke="#0072b2" d="M16 4a12 12 0 0 1 0 24"/>'
    '<path stroke="#d55e00" d="M16 28a12 12 0 0 1 0-24"/></g></svg>'
)

STYLE = """<style>
.stMainBlockContainer { max-width: 68rem; padding-top: 2.5rem; padding-bottom: 3rem; }
.stMainBlockContainer h1 { font-weight: 700; line-height: 1.12; padding: 0; letter-spacing: 0;
  font-size: clamp(1.9rem, 5vw, 3rem); overflow-wrap: anywhere; }
.stMainBlockContainer h2 { font-size: 1.35rem; padding: 1.6rem 0 .2rem; }
[data-testid="stHeaderActionElements"] { display: none; }
.overline { display: flex; gap: .5rem; align-items: baseline; font-size: .85rem; color: #5c5c5c;
  border-top: 3px solid #1a1a1a; padding-top: .6rem; }
.overline b { color: #1a1a1a; }
.overline i { width: .6rem; height: .6rem; border-radius: 50%; background: #009e73; }
.overline.stale i { background: #d55e00; }
.deck { margin-top: .3rem; font-size: 1.1rem; color: #444; line-height: 1.45; }
.st-key-totals { display: grid; gap: .4rem 1.5rem; padding-top: .8rem;
  grid-template-columns: 1fr 1fr 1fr 1.7fr 1fr; }
.st-key-totals > *, .st-key-controls > * { width: auto !important; min-width: 0 !important; }
.st-key-controls { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr));
  gap: .75rem; max-width: 32rem; }
[data-testid="stMetric"] { border-top: 1px solid #dcdad5; padding-top: .6rem; }
[data-testid="stMetricValue"], [data-testid="stMetricValue"] * { white-space: normal !important;
  overflow: visible !important; overflow-wrap: anywhere; width: 100% !important; min-width: 0;
  font-variant-numeric: tabular-nums; line-height: 1.2; }
[data-testid="stMetricValue"] { font-size: 1.45rem; font-weight: 600; }
[data-testid="stTable"] table { font-variant-numeric: tabular-nums; }
[data-testid="stTable"] :is(th, td):is(:nth-child(2), :nth-child(3), :nth-child(4)) {
  text-align: right !important; }
[data-testid="stTable"] :is(th, td) > * { text-align: inherit !important; }
[data-testid="stTable"] th { font-weight: 600; color: #5c5c5c; }
[data-testid="stTable"] :is(th, td) { padding: .45rem .5rem; }
@media (max-width: 40rem) {
  .st-key-totals { grid-template-columns: 1fr 1fr; }
  .stMainBlockContainer { padding-left: 1rem; padding-right: 1rem; }
  [data-testid="stTable"] { font-size: .8rem; }
  [data-testid="stTable"] :is(th, td) { padding: .4rem .25rem; }
}
</style>"""


def main() -> None:
    """Draw the page."""
    st.set_page_config(page_title="Election results", page_icon=ICON, layout="wide")
    st.html(STYLE)
    default = live.settings().dashboard.refresh
    seconds = st.session_state.get("refresh", default)
    st.fragment(draw, run_every=seconds)()
    st.divider()
    st.slider(
        "Seconds between updates",
        min_value=1,
        max_value=LONGEST_REFRESH,
        value=default,
        key="refresh",
        width=320,
    )


def draw() -> None:
    """Draw what refreshes, from the snapshot of this moment."""
    snapshot = live.shared_reader().snapshot()
    draw_heading(snapshot)
    draw_metrics(snapshot)
    draw_charts(snapshot.results)
    draw_locations(snapshot.results)


def draw_heading(snapshot: Snapshot) -> None:
    """Draw how the count stands, and what keeps it from being up to date."""
    troubles = problems(snapshot)
    since = age(snapshot.newest, datetime.now(UTC))
    if troubles:
        status = "<b>Not up to date</b>"
    elif not snapshot.caught_up:
        status = "<b>Reading the count so far</b>"
    elif snapshot.newest is None:
        status = "<b>Live</b> waiting for the first votes"
    else:
        status = f"<b>Live</b> last change {escape(since)} ago"
    stale = " stale" if troubles or not snapshot.caught_up else ""
    st.html(f'<div class="overline{stale}" role="status"><i></i><span>{status}</span></div>')
    for trouble in troubles:
        st.warning(_plain(trouble), icon=":material/cloud_off:")
    st.title(_plain(_headline(snapshot)), anchor=False)
    if snapshot.caught_up:
        st.html(f'<div class="deck">{escape(summary(snapshot.results))}</div>')


def draw_metrics(snapshot: Snapshot) -> None:
    """Draw the totals."""
    results = snapshot.results
    counted = number(results.votes) if snapshot.caught_up else number(None)
    leading = [candidate.name for candidate in results.leading]
    totals = {
        "Votes counted": counted,
        "Registered voters": number(results.registered),
        "Turnout": percent(results.turnout) if snapshot.caught_up else percent(None),
        "Leading candidate": leader(leading),
        "Age of the data": age(snapshot.newest, datetime.now(UTC)),
    }
    with st.container(key="totals"):
        for label, value in totals.items():
            st.metric(label, _plain(value))


def draw_charts(results: Results) -> None:
    """Draw the candidates' charts."""
    st.header("Votes by candidate", anchor=False)
    bars, ring = chart_images(results.candidates)
    left, right = st.columns([3, 2], gap="large")
    left.image(bars, caption="Votes and share of each candidate", width="stretch")
    right.image(ring, caption="Share of all votes counted", width="stretch")


def draw_locations(results: Results) -> None:
    """Draw the table of locations, sorted over all of them, one page at a time."""
    st.header("Turnout by location", anchor=False)
    with st.container(key="controls"):
        column = st.selectbox("Sort by", list(COLUMNS), key="sort")
        order = st.selectbox("Order", ["Ascending", "Descending"], key="order")
        size = st.selectbox("Rows on a page", PAGE_SIZES, index=1, key="size")
    ordered = sort_locations(results.locations, column, descending=order == "Descending")
    pages = page_of(ordered, number=1, size=size).pages
    page = page_of(ordered, number=st.session_state.get("page", 1), size=size)
    arrow = "↓" if order == "Descending" else "↑"
    titles = {name: f"{name} {arrow}" if name == column else name for name in COLUMNS}
    if not page.rows:
        st.caption("No locations yet.")
        return
    st.table(
        {
            titles["Location"]: [_plain(location.state) for location in page.rows],
            titles["Votes"]: [number(location.votes) for location in page.rows],
            titles["Registered"]: [number(location.registered) for location in page.rows],
            titles["Turnout"]: [percent(location.turnout) for location in page.rows],
            titles["Leading"]: [
                _plain(leader(location.leading, nobody="–")) for location in page.rows
            ],
        },
        border="horizontal",
        hide_index=True,
    )
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    ):
        last = page.first + len(page.rows) - 1
        st.caption(f"Locations {page.first} to {last} of {page.total}", width="content")
        st.pagination(pages, key="page", width=330)


def _headline(snapshot: Snapshot) -> str:
    if snapshot.caught_up or snapshot.results.votes:
        return headline(snapshot.results)
    return "The count cannot be read" if snapshot.kafka_problem else "Reading the count so far"


def _plain(text: str) -> str:
    # Streamlit reads Markdown in most places; a candidate's name is not Markdown.
    for special in "\\`*_{}[]()#+-!$:<>~|":
        text = text.replace(special, f"\\{special}")
    return text


if __name__ == "__main__":
    main()
