"""The charts, as pure functions from results to Matplotlib figures.

They use no pyplot, which would keep every figure, and no state of their own: a figure goes when
nobody refers to it any more. Sizes are chosen so that text stays readable on a telephone.
"""

import io
from collections.abc import Mapping, Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from voting_dashboard.palette import OTHERS
from voting_dashboard.snapshot import Candidate
from voting_dashboard.wording import number, percent

__all__ = ["bar_figure", "donut_figure", "fit", "fold", "to_svg"]

BARS = 15
"""Most bars in a chart: the candidates behind them become one bar."""

SLICES = 6
"""Most slices in a ring."""

_INK, _SOFT, _TRACK = "#1a1a1a", "#6b6b6b", "#ececec"
_WIDTH = 5.0
_SIZE = 10.5
_SMALL = 8.5
# In inches: the height of a bar with its name, the room for a share, and that between texts.
_ROW, _SHARE, _GAP = 0.62, 0.62, 0.12


def fold(candidates: Sequence[Candidate], most: int) -> list[Candidate]:
    """Return at most so many candidates, the last of a longer list taken together as others.

    Args:
        candidates: Most votes first.
        most: Length of the longest list returned, at least 1.
    """
    if len(candidates) <= most:
        return list(candidates)
    rest = candidates[most - 1 :]
    votes = sum(candidate.votes for candidate in rest)
    return [*candidates[: most - 1], Candidate("", f"{len(rest)} others", "", votes)]


def fit(text: str, width: float, size: float = _SIZE, weight: str = "normal") -> str:
    """Return the text, cut with an ellipsis where it is wider than so many inches."""
    text = " ".join(text.split())
    if _inches(text, size, weight) <= width:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if _inches(text[:middle].rstrip() + "…", size, weight) <= width:
            low = middle
        else:
            high = middle - 1
    return text[:low].rstrip() + "…"


def bar_figure(candidates: Sequence[Candidate], colours: Mapping[str, str]) -> Figure:
    """Return a bar for each candidate, its name above and its votes and share at the right.

    The whole width is all votes.

    Args:
        candidates: Most votes first.
        colours: Colour by candidate id.
    """
    shown = fold(candidates, BARS)
    total = sum(candidate.votes for candidate in shown)
    figure = Figure(figsize=(_WIDTH, max(1, len(shown)) * _ROW))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    axes.set_ylim(max(1, len(shown)), 0)
    if not shown:
        _text(axes, 0.5, 0.5, "No candidates yet", colour=_SOFT, ha="center")
    for row, candidate in enumerate(shown):
        middle = row + 0.74
        axes.barh(middle, 1, height=0.26, color=_TRACK)
        if candidate.votes:
            colour = colours.get(candidate.candidate_id, OTHERS)
            axes.barh(middle, candidate.votes / total, height=0.26, color=colour)
        share = percent(candidate.votes / total if total else None)
        votes = number(candidate.votes)
        _text(axes, 1, row + 0.5, share, ha="right", colour=_SOFT)
        _text(axes, 1 - _SHARE / _WIDTH, row + 0.5, votes, ha="right")
        room = _WIDTH - _SHARE - _inches(votes) - _GAP
        name = fit(candidate.name, room, weight="bold")
        _text(axes, 0, row + 0.5, name, weight="bold")
        used = _inches(name, weight="bold") + _GAP
        party = fit(candidate.party, room - used, size=_SMALL)
        # A stump of a party's name tells nothing, and "Other" of "Other" no more.
        if len(party) > 4 and party.casefold() != name.casefold():
            _text(axes, used / _WIDTH, row + 0.5, party, colour=_SOFT, size=_SMALL)
    return figure


def donut_figure(candidates: Sequence[Candidate], colours: Mapping[str, str]) -> Figure:
    """Return a ring of the shares, the number of votes in its middle, the names below.

    Args:
        candidates: Most votes first.
        colours: Colour by candidate id.
    """
    shown = fold([candidate for candidate in candidates if candidate.votes], SLICES)
    total = sum(candidate.votes for candidate in shown)
    ring, line = 3.1, 0.3
    height = ring + line * len(shown) + 0.1
    figure = Figure(figsize=(_WIDTH, height))
    axes = figure.add_axes(
        ((_WIDTH - ring) / 2 / _WIDTH, 1 - ring / height, ring / _WIDTH, ring / height)
    )
    axes.set_aspect("equal")
    axes.set_axis_off()
    drawn = [colours.get(candidate.candidate_id, OTHERS) for candidate in shown]
    axes.pie(
        [candidate.votes for candidate in shown] or [1],
        colors=drawn or [_TRACK],
        startangle=90,
        counterclock=False,
        radius=1.15,
        wedgeprops={"width": 0.36, "edgecolor": "white", "linewidth": 2 if len(shown) > 1 else 0},
    )
    _text(axes, 0, 0.08, number(total), size=17, weight="bold", ha="center", va="center")
    _text(axes, 0, -0.2, "vote" if total == 1 else "votes", colour=_SOFT, ha="center", va="center")
    legend = figure.add_axes((0, 0, 1, 1))
    legend.set_axis_off()
    legend.set_xlim(0, _WIDTH)
    legend.set_ylim(height, 0)
    for row, (candidate, colour) in enumerate(zip(shown, drawn, strict=True)):
        y = ring + line * (row + 0.5)
        legend.plot([0.65], [y], marker="s", markersize=9, color=colour)
        _text(legend, 0.85, y, fit(candidate.name, 2.6), va="center_baseline")
        share = percent(candidate.votes / total)
        _text(legend, _WIDTH - 0.55, y, share, ha="right", va="center_baseline")
    return figure


def to_svg(figure: Figure) -> str:
    """Return a figure as SVG; the same figure gives the same text.

    The letters stay letters: the browser has fonts for scripts that Matplotlib's own lacks. For
    one thread at a time, since Matplotlib's settings are the process's.
    """
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "voting"}):
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue()


def _inches(text: str, size: float = _SIZE, weight: str = "normal") -> float:
    font = FontProperties(size=size, weight=weight)
    width: float = text_to_path.get_text_width_height_descent(text, font, False)[0]
    return width / 72


def _text(
    axes: Axes,
    x: float,
    y: float,
    text: str,
    *,
    colour: str = _INK,
    size: float = _SIZE,
    weight: str = "normal",
    ha: str = "left",
    va: str = "baseline",
) -> None:
    # A name may hold a dollar sign; it is no formula.
    axes.text(
        x,
        y,
        text,
        color=colour,
        fontsize=size,
        fontweight=weight,
        horizontalalignment=ha,
        verticalalignment=va,
        parse_math=False,
    )
