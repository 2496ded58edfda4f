"""The charts: pure functions from candidates to Matplotlib figures, and their SVG for the page.

Candidates are passed with the most votes first, and colors by candidate id. The functions do not
use pyplot, which keeps a reference to every figure. Sizes are chosen so that text stays legible on
a phone.
"""

import io
import threading
import warnings
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from voting_dashboard.colors import OTHERS_COLOR, candidate_colors
from voting_dashboard.view_model import Candidate
from voting_dashboard.wording import number, percent

MAX_BARS = 15
"""Maximum number of bars in a bar chart."""

MAX_WEDGES = 6
"""Maximum number of wedges in a donut chart."""

_INK, _SOFT, _TRACK = "#1a1a1a", "#6b6b6b", "#ececec"
_WIDTH = 5.0
_SIZE = 10.5
_SMALL = 8.5
# In inches: the height of a bar with its label, the width of a share, and the gap between texts.
_ROW, _SHARE, _GAP = 0.62, 0.62, 0.12

# Matplotlib's fonts and settings belong to the process, and each visitor has a thread.
_drawing = threading.Lock()

# The browser draws the letters, with fonts for scripts that Matplotlib's own font lacks.
warnings.filterwarnings("ignore", message="Glyph .* missing from font")


def chart_images(candidates: tuple[Candidate, ...]) -> tuple[str, str]:
    """Return the bar chart and the donut chart as SVG, drawn once for all visitors.

    Streamlit keeps an image file of a refreshing fragment until the visitor leaves. SVG text is
    part of the page's messages, and nothing is kept.
    """
    with _drawing:
        return _draw_charts(candidates)


def bar_figure(candidates: Sequence[Candidate], colors: Mapping[str, str]) -> Figure:
    """Return a bar for each candidate, with its name on the left, votes and share on the right.

    The full width of a bar represents all votes.
    """
    shown = group_others(candidates, MAX_BARS)
    total = sum(candidate.votes for candidate in shown)
    figure = Figure(figsize=(_WIDTH, max(1, len(shown)) * _ROW))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    axes.set_ylim(max(1, len(shown)), 0)
    if not shown:
        _text(axes, 0.5, 0.5, "No candidates yet", color=_SOFT, ha="center")
    for row, candidate in enumerate(shown):
        middle = row + 0.74
        axes.barh(middle, 1, height=0.26, color=_TRACK)
        if candidate.votes:
            color = colors.get(candidate.candidate_id, OTHERS_COLOR)
            axes.barh(middle, candidate.votes / total, height=0.26, color=color)
        share = percent(candidate.votes / total if total else None)
        votes = number(candidate.votes)
        _text(axes, 1, row + 0.5, share, ha="right", color=_SOFT)
        _text(axes, 1 - _SHARE / _WIDTH, row + 0.5, votes, ha="right")
        available = _WIDTH - _SHARE - _inches(votes) - _GAP
        name = truncate(candidate.name, available, weight="bold")
        _text(axes, 0, row + 0.5, name, weight="bold")
        used = _inches(name, weight="bold") + _GAP
        party = truncate(candidate.party, available - used, size=_SMALL)
        # A few letters of a party's name do not identify it, and "Other" twice is redundant.
        if len(party) > 4 and party.casefold() != name.casefold():
            _text(axes, used / _WIDTH, row + 0.5, party, color=_SOFT, size=_SMALL)
    return figure


def donut_figure(candidates: Sequence[Candidate], colors: Mapping[str, str]) -> Figure:
    """Return a donut of the shares, with the number of votes inside and a legend below."""
    shown = group_others([candidate for candidate in candidates if candidate.votes], MAX_WEDGES)
    total = sum(candidate.votes for candidate in shown)
    donut, line = 3.1, 0.3
    height = donut + line * len(shown) + 0.1
    figure = Figure(figsize=(_WIDTH, height))
    axes = figure.add_axes(
        ((_WIDTH - donut) / 2 / _WIDTH, 1 - donut / height, donut / _WIDTH, donut / height)
    )
    axes.set_aspect("equal")
    axes.set_axis_off()
    wedge_colors = [colors.get(candidate.candidate_id, OTHERS_COLOR) for candidate in shown]
    axes.pie(
        [candidate.votes for candidate in shown] or [1],
        colors=wedge_colors or [_TRACK],
        startangle=90,
        counterclock=False,
        radius=1.15,
        wedgeprops={"width": 0.36, "edgecolor": "white", "linewidth": 2 if len(shown) > 1 else 0},
    )
    _text(axes, 0, 0.08, number(total), size=17, weight="bold", ha="center", va="center")
    _text(axes, 0, -0.2, "vote" if total == 1 else "votes", color=_SOFT, ha="center", va="center")
    legend = figure.add_axes((0, 0, 1, 1))
    legend.set_axis_off()
    legend.set_xlim(0, _WIDTH)
    legend.set_ylim(height, 0)
    for row, (candidate, color) in enumerate(zip(shown, wedge_colors, strict=True)):
        y = donut + line * (row + 0.5)
        legend.plot([0.65], [y], marker="s", markersize=9, color=color)
        _text(legend, 0.85, y, truncate(candidate.name, 2.6), va="center_baseline")
        share = percent(candidate.votes / total)
        _text(legend, _WIDTH - 0.55, y, share, ha="right", va="center_baseline")
    return figure


def to_svg(figure: Figure) -> str:
    """Return a figure as SVG; the same figure gives the same text.

    Text stays text: the browser has fonts for scripts that Matplotlib's own font lacks. Not
    thread-safe, since Matplotlib's settings belong to the process.
    """
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "voting"}):
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue()


def group_others(candidates: Sequence[Candidate], limit: int) -> list[Candidate]:
    """Return at most `limit` candidates; the last one of a longer list is the sum of the rest.

    The limit is at least 1.
    """
    if len(candidates) <= limit:
        return list(candidates)
    rest = candidates[limit - 1 :]
    votes = sum(candidate.votes for candidate in rest)
    return [*candidates[: limit - 1], Candidate("", f"{len(rest)} others", "", votes)]


def truncate(text: str, width: float, size: float = _SIZE, weight: str = "normal") -> str:
    """Return the text with white space collapsed, shortened with an ellipsis to fit `width` inches.

    The font size is in points.
    """
    text = " ".join(text.split())
    if _inches(text, size, weight) <= width:
        return text

    def shortened(length: int) -> str:
        return text[:length].rstrip() + "…"

    lengths = range(1, len(text))
    return shortened(
        bisect_right(lengths, width, key=lambda length: _inches(shortened(length), size, weight))
    )


@lru_cache(maxsize=4)
def _draw_charts(candidates: tuple[Candidate, ...]) -> tuple[str, str]:
    colors = candidate_colors(candidates)
    return to_svg(bar_figure(candidates, colors)), to_svg(donut_figure(candidates, colors))


def _inches(text: str, size: float = _SIZE, weight: str = "normal") -> float:
    font = FontProperties(size=size, weight=weight)
    width: float = text_to_path.get_text_width_height_descent(text, font, False)[0]
    return width / 72


def _text(axes: Axes, x: float, y: float, text: str, **style: Any) -> None:
    # A dollar sign in a name must not start a formula.
    axes.text(x, y, text, **{"color": _INK, "size": _SIZE, **style}, parse_math=False)
