"""Every shell block of README and docs runs as it stands, or its page gives the reason why not."""

import json
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition
from page_session import ROOT, install_kafka_tools, run_page, session_environment
from reference_tables import documented_fields
from shell_blocks import read_page
from typed_settings import SecretStr

from voting_core.database import connect
from voting_core.kafka import connect_admin
from voting_core.operator.setup import forget_election
from voting_core.service.settings import DatabaseSettings, KafkaSettings
from voting_core.topics import AGGREGATED_PROGRESS, ALL_TOPICS, VOTERS
from voting_infra import Stack, Supervisor

# Only where another client has written to votes_topic.
OPTIONAL_FIELDS = {AGGREGATED_PROGRESS.name: {"foreign_records", "first_foreign_offset"}}
RECOVER = ROOT / "docs" / "how-to" / "recover.md"
PAGES = sorted(
    {ROOT / "README.md", *ROOT.glob("packages/*/README.md"), *ROOT.glob("docs/**/*.md")} - {RECOVER}
)


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
    """The environment of a reader who has no election yet."""
    with connect(DatabaseSettings(SecretStr(stack.database_url))) as conn:
        forget_election(connect_admin(KafkaSettings(stack.bootstrap_servers)), conn)
    return session_environment(stack, kafka_tools)


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if any(block.skipped is None for block in read_page(page))],
    ids=name_of,
)
def test_the_blocks_of_a_page_run(page: Path, environment: dict[str, str], tmp_path: Path) -> None:
    """In their order, in one shell, they end well and print what the page shows."""
    run_page(page, tmp_path, environment)


def first_record(bootstrap_servers: str, topic: str) -> dict[str, object]:
    """Return a record of a topic that has some."""
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": "documentation"})
    try:
        partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
        consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
        message = consumer.poll(30)
        assert message is not None, f"{topic} has no record"
        assert message.error() is None
        record: dict[str, object] = json.loads(message.value() or b"null")
        return record
    finally:
        consumer.close()


def test_the_recoveries_fill_every_topic_with_the_documented_records(
    stack: Stack, environment: dict[str, str], tmp_path: Path
) -> None:
    """The guide's blocks run, and the records then have the fields that the reference lists."""
    run_page(RECOVER, tmp_path, environment)
    for topic in ALL_TOPICS:
        found = set(first_record(stack.bootstrap_servers, topic.name))
        optional = OPTIONAL_FIELDS.get(topic.name, set[str]())
        if topic == VOTERS:
            optional = documented_fields(topic.name)
        assert found | optional == documented_fields(topic.name), topic.name
