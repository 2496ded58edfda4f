"""What the reference lists by hand is what the code has."""

import re
from pathlib import Path

import attrs
import pytest
from page_session import ROOT
from reference_tables import REFERENCE, documented_fields, first_column

from voting_core.models import Reason, Voter
from voting_core.topics import ALL_TOPICS

DOCS = ROOT / "docs"
FOLDERS = "benchmarks|docs|infra|packages|tests"
SOURCES = [
    path.read_text(encoding="utf-8")
    for pattern in ("packages/*/src/**/*.py", "infra/src/**/*.py", "infra/compose.yaml")
    for path in ROOT.glob(pattern)
]
"""Code that could contain a name that the documentation uses."""


def test_every_reason_code_is_explained() -> None:
    """No other, and each once."""
    page = (REFERENCE / "reason-codes.md").read_text(encoding="utf-8")
    assert sorted(first_column(page)) == sorted(Reason)


def test_every_topic_is_listed() -> None:
    """With its key, and with the fields of its records."""
    page = (REFERENCE / "topics.md").read_text(encoding="utf-8")
    overview, _, _ = page.partition("\n## ")
    assert first_column(overview) == [topic.name for topic in ALL_TOPICS]
    assert all(documented_fields(topic.name) for topic in ALL_TOPICS)


def test_every_field_of_a_ballot_is_listed() -> None:
    """Also the optional ones, which no example sends."""
    assert documented_fields("voters_topic") == {field.name for field in attrs.fields(Voter)}


def test_the_log_events_that_operators_look_for_exist() -> None:
    """The guide names the events as the services log them."""
    page = (DOCS / "how-to" / "operate.md").read_text(encoding="utf-8")
    (table,) = re.findall(r"^\| event \|.*?\n\n", page, re.MULTILINE | re.DOTALL)
    for event in first_column(table):
        assert any(f'"{event}"' in source for source in SOURCES), event


@pytest.mark.parametrize(
    "page",
    sorted([ROOT / "README.md", *DOCS.glob("**/*.md")]),
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_the_files_that_a_page_names_exist(page: Path) -> None:
    """A path of the repository in the text, such as `tests/test_demo.py`."""
    text = page.read_text(encoding="utf-8")
    named = re.findall(rf"(?<![\w/])(?:{FOLDERS})/[\w./-]+\.(?:csv|example|json|md|py|yaml)", text)
    missing = [path for path in named if not (ROOT / path).exists()]
    assert missing == []
