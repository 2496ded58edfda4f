"""The votes to be counted: small results files, replayed with one ballot per vote."""

import csv
import random
from collections.abc import Sequence
from pathlib import Path

__all__ = ["write_results_files"]

_STATES = ("Ohio", "Texas", "Maine", "Utah", "Oregon", "Georgia")
_CANDIDATES = (("Ada Grove", "Meadow"), ("Ben Okoro", "Harbor"), ("Cleo Marsh", "Lantern"))


def write_results_files(directory: Path, *, voters: int, count: int, seed: str) -> list[Path]:
    """Write results files that the producer replays one after another at scale 1.

    Args:
        directory: Where to.
        voters: Votes in all files together.
        count: Number of files, at least 1.
        seed: Decides how many votes each candidate gets.
    """
    rng = random.Random(seed)
    paths = []
    for number in range(count):
        votes_in_file = voters * (number + 1) // count - voters * number // count
        cells = [(state, *candidate) for state in _STATES for candidate in _CANDIDATES]
        path = directory / f"results-{number:03}.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            # The county makes the files differ: a voter's id depends on the file.
            writer.writerow(("state", "county", "candidate", "party", "candidatevotes"))
            parts = _split(rng, votes_in_file, cells)
            for (state, name, party), votes in zip(cells, parts, strict=True):
                writer.writerow((state, f"County {number}", name, party, votes))
        paths.append(path)
    return paths


def _split(rng: random.Random, total: int, cells: Sequence[object]) -> list[int]:
    """Split a total into as many parts, none below 0, some larger than others."""
    bounds = sorted(rng.randint(0, total) for _ in cells[1:])
    return [high - low for low, high in zip([0, *bounds], [*bounds, total], strict=True)]
