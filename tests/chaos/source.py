"""The votes that are to be counted: small results files, one vote in a file for each voter."""

import csv
import random
from collections.abc import Sequence
from pathlib import Path

__all__ = ["write_slices"]

_STATES = ("Ohio", "Texas", "Maine", "Utah", "Oregon", "Georgia")
_CANDIDATES = (("Ada Grove", "Meadow"), ("Ben Okoro", "Harbor"), ("Cleo Marsh", "Lantern"))


def write_slices(directory: Path, *, voters: int, slices: int, seed: str) -> list[Path]:
    """Write results files that the producer replays one after another at scale 1.

    Args:
        directory: Where to.
        voters: Votes in all files together.
        slices: Number of files, at least 1.
        seed: Decides who gets how many.
    """
    rng = random.Random(seed)
    paths = []
    for number in range(slices):
        share = voters * (number + 1) // slices - voters * number // slices
        cells = [(state, *candidate) for state in _STATES for candidate in _CANDIDATES]
        path = directory / f"slice-{number:03}.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            # The county makes each file another one: voters are told apart by their file.
            writer.writerow(("state", "county", "candidate", "party", "candidatevotes"))
            for (state, name, party), votes in zip(cells, _split(rng, share, cells), strict=True):
                writer.writerow((state, f"County {number}", name, party, votes))
        paths.append(path)
    return paths


def _split(rng: random.Random, total: int, cells: Sequence[object]) -> list[int]:
    """Split a total into as many parts, none below 0, some larger than others."""
    cuts = sorted(rng.randint(0, total) for _ in cells[1:])
    return [high - low for low, high in zip([0, *cuts], [*cuts, total], strict=True)]
