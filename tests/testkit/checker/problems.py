"""Sentences about what is wrong, with a few examples each."""

from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["Problems"]

EXAMPLES = 3


class Problems:
    """Collects sentences.

    Attributes:
        sentences: What was found, in the order of the checks.
    """

    def __init__(self) -> None:
        self.sentences: list[str] = []

    def add(self, what: str, found: Iterable[object]) -> None:
        """Add a sentence about the things found; none if there are none."""
        listed = list(found)
        if listed:
            shown = ", ".join(str(example) for example in listed[:EXAMPLES])
            self.sentences.append(f"{len(listed)} {what}, such as {shown}")

    def compare(self, what: str, expected: Mapping[Any, int], found: Mapping[Any, int]) -> None:
        """Add a sentence about the keys whose numbers differ; a missing key counts as 0."""
        self.add(
            what,
            [
                f"{key}: {found.get(key, 0)} instead of {expected.get(key, 0)}"
                for key in sorted(expected.keys() | found.keys(), key=str)
                if found.get(key, 0) != expected.get(key, 0)
            ],
        )
