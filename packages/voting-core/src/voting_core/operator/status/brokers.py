"""What Kafka's administrative requests tell: groups, log directories and open transactions.

kafka-python makes them: librdkafka has no request for transactions or log directories, and it
aborts the process when a group to describe has no coordinator.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from confluent_kafka.admin import AdminClient

from voting_core.exceptions import one_line
from voting_core.kafka import GroupMember, reads_ballots
from voting_core.operator.status.facts import (
    BrokerFacts,
    ConsumerGroup,
    LogDirectory,
)
from voting_core.operator.transactions import (
    connect_broker_tools,
    find_open_transactions,
    undisclosed_transactions,
)
from voting_core.service.settings import KafkaSettings
from voting_core.topics import ALL_TOPICS, VOTERS

if TYPE_CHECKING:
    from kafka import KafkaAdminClient

METADATA_SECONDS = 3.0

T = TypeVar("T")


def broker_facts(
    settings: KafkaSettings, admin: AdminClient, held_back: Mapping[tuple[str, int], int]
) -> BrokerFacts:
    """Return what Kafka's administrative requests tell; a request that fails is named.

    `held_back` are the partitions with an open transaction, with the last stable offset of each.
    """
    from kafka.errors import KafkaError

    problems: list[str] = []

    def attempt(what: str, function: Callable[[], T]) -> T | None:
        try:
            return function()
        except KafkaError as error:
            problems.append(f"{what}: {type(error).__name__} {one_line(error)}".rstrip())
            return None

    leaderless = _leaderless(admin)
    try:
        with connect_broker_tools(settings) as client:
            groups = attempt("consumer groups", lambda: _groups(client))
            directories = attempt("log directories", lambda: _log_directories(client))
            transactions = attempt(
                "open transactions", lambda: find_open_transactions(client, held_back)
            )
    except KafkaError as error:
        return BrokerFacts(
            open_transactions=tuple(undisclosed_transactions(held_back)),
            leaderless=leaderless,
            problems=(*problems, f"administrative requests: {one_line(error)}"),
        )
    return BrokerFacts(
        None if groups is None else tuple(groups),
        None if directories is None else tuple(directories),
        tuple(undisclosed_transactions(held_back) if transactions is None else transactions),
        leaderless,
        tuple(problems),
    )


def _leaderless(admin: AdminClient) -> tuple[tuple[str, int], ...]:
    """Return the partitions of our topics that no broker serves."""
    known = admin.list_topics(timeout=METADATA_SECONDS).topics
    return tuple(
        (topic.name, partition.id)
        for topic in ALL_TOPICS
        if topic.name in known
        for partition in known[topic.name].partitions.values()
        if partition.leader < 0
    )


def _groups(client: "KafkaAdminClient") -> list[ConsumerGroup]:
    """Return the groups that read `voters_topic`."""
    names = [each["group_id"] for each in client.list_groups()]
    found = []
    for name, described in client.describe_groups(names).items():
        members: list[GroupMember] = []
        topics: set[str] = set()
        for member in described["members"]:
            assigned = _assigned(member)
            members.append(
                GroupMember(
                    member["member_id"],
                    member["client_id"],
                    member["client_host"].lstrip("/"),
                    tuple(sorted(assigned.get(VOTERS.name, ()))),
                )
            )
            topics.update(assigned, _subscribed(member))
        if reads_ballots(name, members, topics):
            found.append(ConsumerGroup(name, described["group_state"], tuple(members)))
    return found


def _subscribed(member: dict[str, Any]) -> list[str]:
    metadata = member["member_metadata"]
    return list(metadata["topics"]) if isinstance(metadata, dict) else []


def _assigned(member: dict[str, Any]) -> dict[str, list[int]]:
    """Return the partitions that are assigned to a member, by topic."""
    assignment = member["member_assignment"]
    if not isinstance(assignment, dict):
        return {}
    return {each["topic"]: list(each["partitions"]) for each in assignment["assigned_partitions"]}


def _log_directories(client: "KafkaAdminClient") -> list[LogDirectory]:
    def size(number: int | None) -> int | None:
        return number if number is not None and number >= 0 else None

    return [
        LogDirectory(
            broker["broker"],
            directory["log_dir"],
            directory["error_code"] != 0,
            size(directory.get("usable_bytes")),
            size(directory.get("total_bytes")),
        )
        for broker in client.describe_log_dirs()
        for directory in broker["log_dirs"]
    ]
