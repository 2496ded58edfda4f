"""The charts as images, drawn once for all visitors."""

import threading
import warnings
from functools import lru_cache

from voting_dashboard.figures import bar_figure, donut_figure, to_svg
from voting_dashboard.palette import colours
from voting_dashboard.snapshot import Candidate

__all__ = ["chart_images"]

# Matplotlib's fonts and settings belong to the process; visitors come in threads of their own.
_drawing = threading.Lock()

# The browser draws the letters, with fonts for scripts that Matplotlib's own lacks.
warnings.filterwarnings("ignore", message="Glyph .* missing from font")


def chart_images(candidates: tuple[Candidate, ...]) -> tuple[str, str]:
    """Return the bar chart and the ring as SVG.

    An image that Streamlit stores for a part that refreshes is kept until the visitor leaves. SVG
    travels in the page's messages instead, and nothing has to be stored.

    Args:
        candidates: Most votes first.
    """
    with _drawing:
        return _draw(candidates)


@lru_cache(maxsize=4)
def _draw(candidates: tuple[Candidate, ...]) -> tuple[str, str]:
    given = colours(candidates)
    return to_svg(bar_figure(candidates, given)), to_svg(donut_figure(candidates, given))
