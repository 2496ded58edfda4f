"""Removing a rule from its source file."""

from pathlib import Path

from mutations.rules import Rule

__all__ = ["RemovalError", "remove_rule", "without_rule"]


class RemovalError(Exception):
    """A rule cannot be removed: its anchor or its replacement no longer fits the source."""


def without_rule(rule: Rule, source: str) -> str:
    """Return a source text without a rule.

    Raises:
        RemovalError: The anchor does not occur exactly once, or the result is no Python.
    """
    count = source.count(rule.anchor)
    if count != 1:
        raise RemovalError(f"{rule.file} has {rule.anchor!r} {count} times instead of once")
    mutated = source.replace(rule.anchor, rule.replacement)
    try:
        compile(mutated, rule.file, "exec")
    except SyntaxError as error:
        raise RemovalError(f"{rule.file} is no Python without the rule: {error}") from error
    return mutated


def remove_rule(rule: Rule, root: Path) -> None:
    """Remove a rule from its file in a copy of the tree.

    Raises:
        RemovalError: The file does not exist, or the rule cannot be removed from it.
    """
    path = root / rule.file
    if not path.is_file():
        raise RemovalError(f"{rule.file} does not exist")
    path.write_text(without_rule(rule, path.read_text(encoding="utf-8")), encoding="utf-8")
