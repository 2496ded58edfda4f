"""One color for each candidate, the same for as long as the candidates are the same.

The colors are those of Okabe and Ito, "Color Universal Design" (2008), which people with any
common kind of color blindness can tell apart. Their yellow is left out: it is illegible on white.
"""

from collections.abc import Iterable

from voting_dashboard.view_model import Candidate

OTHERS_COLOR = "#9a9a9a"
"""Color of a group of candidates."""

_BLUE, _VERMILION, _GREEN, _ORANGE = "#0072b2", "#d55e00", "#009e73", "#e69f00"
_PINK, _SKY, _DARK = "#cc79a7", "#56b4e9", "#444444"
_PALETTE = (_BLUE, _VERMILION, _GREEN, _ORANGE, _PINK, _SKY, _DARK)

# Each is a gray level to mix in, 0 to 255, and its weight, 0 to 1.
_TONES = ((0, 0.0), (255, 0.45), (0, 0.4))

# Readers associate these parties with a color; each gets the nearest one of the palette.
_PARTY_COLORS = {
    "democrat": _BLUE,
    "republican": _VERMILION,
    "green": _GREEN,
    "libertarian": _ORANGE,
}


def candidate_colors(candidates: Iterable[Candidate]) -> dict[str, str]:
    """Return a color by candidate id, independent of the candidates' order and votes.

    The first candidates by id get the colors of the palette, the next ones lighter and then darker
    tones of them, and all others `OTHERS_COLOR`.
    """
    free = [_mix(color, gray, weight) for gray, weight in _TONES for color in _PALETTE]
    by_id = sorted(candidates, key=lambda candidate: candidate.candidate_id)
    colors: dict[str, str] = {}
    for candidate in by_id:
        party = candidate.party.casefold()
        color = next((c for name, c in _PARTY_COLORS.items() if party.startswith(name)), None)
        if color in free:
            colors[candidate.candidate_id] = color
            free.remove(color)
    for candidate in by_id:
        if candidate.candidate_id not in colors:
            colors[candidate.candidate_id] = free.pop(0) if free else OTHERS_COLOR
    return colors


def _mix(color: str, gray: int, weight: float) -> str:
    channels = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(c + (gray - c) * weight):02x}" for c in channels)
