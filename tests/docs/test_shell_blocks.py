"""Every shell block of README and docs runs as it stands, or its page gives the reason why not."""

import subprocess
from pathlib import Path

import pytest
from page_session import ROOT, install_kafka_tools, run_page, session_environment
from shell_blocks import read_page

from voting_infra import Stack, Supervisor

PAGES = sorted([ROOT / "README.md", *ROOT.glob("packages/*/README.md"), *ROOT.glob("docs/**/*.md")])


def name_of(page: Path) -> str:
    """Return a page's path in the repository."""
    return str(page.relative_to(ROOT))


@pytest.fixture(scope="session")
def kafka_tools(supervisor: Supervisor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with Kafka's own command line tools."""
    directory = tmp_path_factory.mktemp("kafka-tools")
    install_kafka_tools(supervisor, directory)
    return directory


@pytest.fixture
def environment(stack: Stack, kafka_tools: Path) -> dict[str, str]:
    """The environment of a reader whose election is empty."""
    environment = session_environment(stack, kafka_tools)
    reset = ("voting", "reset", "--yes", "--partitions=2")
    subprocess.run(reset, env=environment, check=True, timeout=120)
    return environment


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if any(block.skipped is None for block in read_page(page))],
    ids=name_of,
)
def test_the_blocks_of_a_page_run(page: Path, environment: dict[str, str], tmp_path: Path) -> None:
    """In their order, in one shell, they end well and print what the page shows."""
    run_page(page, tmp_path, environment)
