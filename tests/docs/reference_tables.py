"""The tables that the reference lists by hand."""

import re

from page_session import ROOT

__all__ = ["REFERENCE", "documented_fields", "first_column"]

REFERENCE = ROOT / "docs" / "reference"


def first_column(text: str) -> list[str]:
    """Return the codes in the first column of a page's tables."""
    return re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)


def documented_fields(topic: str) -> set[str]:
    """Return the fields that the reference lists for the records of a topic."""
    page = (REFERENCE / "topics.md").read_text(encoding="utf-8")
    section = re.search(rf"^###? {topic}\n(.*?)(?=^##|\Z)", page, re.MULTILINE | re.DOTALL)
    assert section is not None, topic
    return set(first_column(section[1]))
