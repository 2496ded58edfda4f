"""Rounds in which every variant runs once, so that what disturbs one disturbs all."""

from collections.abc import Callable, Mapping
from typing import TypeVar

__all__ = ["run_rounds"]

T = TypeVar("T")


def run_rounds(
    variants: Mapping[str, Callable[[], T]],
    rounds: int,
    print_line: Callable[[str], None],
) -> dict[str, list[T]]:
    """Run variants A B C, A B C, … and return the results of each.

    Args:
        variants: What is measured, by name.
        rounds: How often each runs.
        print_line: Prints one line for each run.
    """
    results: dict[str, list[T]] = {name: [] for name in variants}
    for number in range(1, rounds + 1):
        for name, run in variants.items():
            result = run()
            results[name].append(result)
            print_line(f"  round {number}/{rounds}  {name:<28} {result}")
    return results
