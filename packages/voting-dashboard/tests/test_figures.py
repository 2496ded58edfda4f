"""Tests of the charts."""

import gc
import subprocess
import sys
import weakref
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle, Wedge
from matplotlib.text import Text

from voting_dashboard.colors import OTHERS_COLOR, candidate_colors
from voting_dashboard.figures import (
    MAX_BARS,
    MAX_WEDGES,
    bar_figure,
    chart_images,
    donut_figure,
    group_others,
    to_svg,
    truncate,
)
from voting_dashboard.view_model import Candidate

THREE = [
    Candidate("c2", "Ben", "Reform", 30),
    Candidate("c1", "Ada", "Unity", 15),
    Candidate("c3", "Cleo", "Green", 0),
]
MANY = [
    Candidate(f"c{i:02}", f"WWW Candidate with a very long name number {i}", "A long party", 90 - i)
    for i in range(40)
]


def texts(figure: Figure) -> list[str]:
    """Return the texts of a figure."""
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def bars(figure: Figure) -> list[tuple[float, str]]:
    """Return length and color of each bar, without the tracks behind them."""
    patches = [p for axes in figure.axes for p in axes.patches if isinstance(p, Rectangle)]
    found = [(round(p.get_width(), 3), to_hex(p.get_facecolor())) for p in patches]
    return [bar for bar in found if bar[1] != "#ececec"]


def test_bars_are_shares() -> None:
    """A bar is as long as its share of the full width; a candidate without votes has none."""
    colors = candidate_colors(THREE)
    assert bars(bar_figure(THREE, colors)) == [(0.667, colors["c2"]), (0.333, colors["c1"])]


def test_bars_are_labelled() -> None:
    """Every candidate has its name, party, votes and share."""
    written = texts(bar_figure(THREE, candidate_colors(THREE)))
    assert {"Ben", "Reform", "30", "66.7%", "Cleo", "0", "0.0%"} <= set(written)


def test_donut_shares() -> None:
    """The wedges are the shares, in the candidates' colors."""
    colors = candidate_colors(THREE)
    figure = donut_figure(THREE, colors)
    wedges = [w for axes in figure.axes for w in axes.patches if isinstance(w, Wedge)]
    assert [round(abs(w.theta2 - w.theta1)) for w in wedges] == [240, 120]
    assert [to_hex(w.get_facecolor()) for w in wedges] == [colors["c2"], colors["c1"]]
    assert {"45", "Ben", "66.7%", "Ada", "33.3%"} <= set(texts(figure))


def test_no_votes() -> None:
    """Without votes or candidates the charts are empty."""
    none = [Candidate("c1", "Ada", "", 0)]
    assert bars(bar_figure(none, candidate_colors(none))) == []
    assert "0" in texts(donut_figure(none, candidate_colors(none)))
    assert "No candidates yet" in texts(bar_figure([], {}))
    assert to_svg(donut_figure([], {}))


def test_group_others() -> None:
    """A long list ends in the sum of the rest; no vote is lost."""
    shown = group_others(MANY, MAX_BARS)
    assert len(shown) == MAX_BARS
    assert shown[-1].name == "26 others"
    assert sum(c.votes for c in shown) == sum(c.votes for c in MANY)
    assert group_others(THREE, 3) == THREE


def test_many_candidates_stay_legible() -> None:
    """With many candidates and long names no two texts of a chart overlap or leave it."""
    colors = candidate_colors(MANY)
    for figure, shown in (
        (bar_figure(MANY, colors), MAX_BARS),
        (donut_figure(MANY, colors), MAX_WEDGES),
    ):
        to_svg(figure)
        boxes = [t.get_window_extent() for t in figure.findobj(Text) if t.get_text()]
        assert len(boxes) >= shown
        assert all(box.x0 >= -1 and box.x1 <= figure.bbox.x1 + 1 for box in boxes)
        boxes.sort(key=lambda box: (-round(box.y0 / 12), box.x0))
        assert not any(a.overlaps(b) for a, b in pairwise(boxes))
    assert bars(bar_figure(MANY, colors))[-1][1] == OTHERS_COLOR


def test_truncate() -> None:
    """A text that is too wide ends in an ellipsis, another is unchanged."""
    assert truncate("Ada", 1.0) == "Ada"
    short = truncate("W" * 100, 1.0)
    assert short.endswith("…")
    assert 5 < len(short) < 15
    assert truncate("anything", -1.0) == "…"


@pytest.mark.filterwarnings("ignore:Glyph")
def test_svg_is_well_formed_and_repeatable() -> None:
    """The same results give the same SVG, whatever characters a name contains."""
    odd = [Candidate("c1", 'A <b> & "$x_1$" 候補者', "", 3)]
    first, second = (to_svg(bar_figure(odd, candidate_colors(odd))) for _ in range(2))
    assert first == second
    written = "".join(ElementTree.fromstring(first).itertext())
    assert '<b> & "$x_1$" 候補者' in written


def test_figures_are_released() -> None:
    """A figure without references is released."""
    figure = bar_figure(THREE, candidate_colors(THREE))
    to_svg(figure)
    gone = weakref.ref(figure)
    del figure
    gc.collect()
    assert gone() is None


def test_images_are_drawn_once() -> None:
    """The charts of the same candidates are drawn once for all visitors."""
    images = chart_images(tuple(THREE))
    assert chart_images(tuple(THREE)) is images
    assert all(image.startswith("<?xml") for image in images)


def test_no_pyplot() -> None:
    """The charts do not use pyplot, which keeps figures."""
    code = (
        "import sys; from voting_dashboard.figures import *; to_svg(donut_figure([], {}));"
        " sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
