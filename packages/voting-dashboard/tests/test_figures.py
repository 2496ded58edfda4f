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

from voting_dashboard.figures import BARS, SLICES, bar_figure, donut_figure, fit, fold, to_svg
from voting_dashboard.palette import OTHERS, colours
from voting_dashboard.snapshot import Candidate

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
    """Return all that is written in a figure."""
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def bars(figure: Figure) -> list[tuple[float, str]]:
    """Return length and colour of each bar, without the tracks behind them."""
    patches = [p for axes in figure.axes for p in axes.patches if isinstance(p, Rectangle)]
    found = [(round(p.get_width(), 3), to_hex(p.get_facecolor())) for p in patches]
    return [bar for bar in found if bar[1] != "#ececec"]


def test_bars_are_shares() -> None:
    """A bar is as long as its share of the whole width, no votes give no bar."""
    given = colours(THREE)
    assert bars(bar_figure(THREE, given)) == [(0.667, given["c2"]), (0.333, given["c1"])]


def test_bars_are_labelled() -> None:
    """Every candidate's name, party, votes and share are written."""
    written = texts(bar_figure(THREE, colours(THREE)))
    assert {"Ben", "Reform", "30", "66.7%", "Cleo", "0", "0.0%"} <= set(written)


def test_donut_shares() -> None:
    """The ring's slices are the shares in the candidates' colours, and add up to the whole."""
    given = colours(THREE)
    figure = donut_figure(THREE, given)
    wedges = [w for axes in figure.axes for w in axes.patches if isinstance(w, Wedge)]
    assert [round(abs(w.theta2 - w.theta1)) for w in wedges] == [240, 120]
    assert [to_hex(w.get_facecolor()) for w in wedges] == [given["c2"], given["c1"]]
    assert {"45", "Ben", "66.7%", "Ada", "33.3%"} <= set(texts(figure))


def test_no_votes() -> None:
    """Without votes or candidates there are empty charts, not errors."""
    none = [Candidate("c1", "Ada", "", 0)]
    assert bars(bar_figure(none, colours(none))) == []
    assert "0" in texts(donut_figure(none, colours(none)))
    assert "No candidates yet" in texts(bar_figure([], {}))
    assert to_svg(donut_figure([], {}))


def test_fold() -> None:
    """A long list ends in the sum of the rest, and no vote is lost."""
    shown = fold(MANY, BARS)
    assert len(shown) == BARS
    assert shown[-1].name == "26 others"
    assert sum(c.votes for c in shown) == sum(c.votes for c in MANY)
    assert fold(THREE, 3) == THREE


def test_many_candidates_stay_legible() -> None:
    """With many candidates and long names no two texts of a chart overlap or leave it."""
    given = colours(MANY)
    for figure, most in ((bar_figure(MANY, given), BARS), (donut_figure(MANY, given), SLICES)):
        to_svg(figure)
        boxes = [t.get_window_extent() for t in figure.findobj(Text) if t.get_text()]
        assert len(boxes) >= most
        assert all(box.x0 >= -1 and box.x1 <= figure.bbox.x1 + 1 for box in boxes)
        boxes.sort(key=lambda box: (-round(box.y0 / 12), box.x0))
        assert not any(a.overlaps(b) for a, b in pairwise(boxes))
    assert bars(bar_figure(MANY, given))[-1][1] == OTHERS


def test_fit() -> None:
    """A text too wide is cut and marked, another is left as it is."""
    assert fit("Ada", 1.0) == "Ada"
    cut = fit("W" * 100, 1.0)
    assert cut.endswith("…")
    assert 5 < len(cut) < 15
    assert fit("anything", -1.0) == "…"


@pytest.mark.filterwarnings("ignore:Glyph")
def test_svg_is_well_formed_and_repeatable() -> None:
    """The same results give the same SVG, whatever characters a name holds."""
    odd = [Candidate("c1", 'A <b> & "$x_1$" 候補者', "", 3)]
    first, second = (to_svg(bar_figure(odd, colours(odd))) for _ in range(2))
    assert first == second
    written = "".join(ElementTree.fromstring(first).itertext())
    assert '<b> & "$x_1$" 候補者' in written


def test_figures_are_released() -> None:
    """Nothing keeps a figure once nobody refers to it."""
    figure = bar_figure(THREE, colours(THREE))
    to_svg(figure)
    gone = weakref.ref(figure)
    del figure
    gc.collect()
    assert gone() is None


def test_no_pyplot() -> None:
    """The charts do without pyplot, which keeps figures."""
    code = (
        "import sys; from voting_dashboard.figures import *; to_svg(donut_figure([], {}));"
        " sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
