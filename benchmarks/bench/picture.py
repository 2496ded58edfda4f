"""A picture of the rows: ours, the peers and the limit of each, on a logarithmic scale."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure as Canvas

from bench.results import Figure, Row

__all__ = ["save_picture"]

_OURS, _PEER, _LIMIT = "#1f6fb4", "#9aa5b1", "#d9a441"
_HEIGHT_INCHES = 0.42


def save_picture(rows: Sequence[Row], path: Path) -> None:
    """Save a panel of bars for each row, with the spread of its rounds."""
    bars = [_bars(row) for row in rows]
    heights = [len(each) + 1.4 for each in bars]
    canvas = Canvas(figsize=(9, _HEIGHT_INCHES * sum(heights)), layout="constrained")
    panels = canvas.subplots(len(rows), 1, squeeze=False, height_ratios=heights)[:, 0]
    for panel, row, each in zip(panels, rows, bars, strict=True):
        names = [name for name, _, _ in each]
        medians = [figure.median for _, figure, _ in each]
        errors = [
            [figure.median - figure.low for _, figure, _ in each],
            [figure.high - figure.median for _, figure, _ in each],
        ]
        drawn = panel.barh(names, medians, xerr=errors, color=[color for *_, color in each])
        panel.bar_label(drawn, [f" {value:,.4g}" for value in medians], padding=3, fontsize=8)
        panel.invert_yaxis()
        panel.set_xscale("log")
        panel.margins(x=0.2)
        better = "more is better" if row.more_is_better else "less is better"
        panel.set_title(f"{row.name}: {row.unit} ({better})", fontsize=9, loc="left")
        panel.tick_params(labelsize=8)
        panel.spines[["top", "right"]].set_visible(False)
    canvas.savefig(path, dpi=150)


def _bars(row: Row) -> list[tuple[str, Figure, str]]:
    limit = [] if row.limit is None else [(*row.limit, _LIMIT)]
    peers = [(name, figure, _PEER) for name, figure in row.peers.items()]
    return [("ours", row.ours, _OURS), *peers, *limit]
