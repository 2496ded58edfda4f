"""The members of consumer groups."""

from collections.abc import Collection, Iterable

import attrs
from confluent_kafka import ConsumerGroupState
from confluent_kafka.admin import AdminClient

from voting_core.topics import VOTERS

REQUEST_SECONDS = 5.0


@attrs.frozen
class GroupMember:
    """A member of a consumer group.

    Attributes:
        client_id: The `client.id`; a consumer of ours has `GROUP-INSTANCE`.
        host: Its address.
        partitions: Partitions of `voters_topic` that are assigned to it.
    """

    member_id: str
    client_id: str
    host: str
    partitions: tuple[int, ...]


def reads_ballots(group: str, members: Iterable[GroupMember], topics: Collection[str]) -> bool:
    """Return whether a consumer group reads `voters_topic`.

    Kafka discloses no assignment during a rebalance, and of a deleted topic there is none. Our
    consumers are known by their client.id then, which begins with the group's name.

    Args:
        group: Its name.
        members: All of its members.
        topics: What is assigned to them or, as far as Kafka's client tells, subscribed by them.
    """
    if topics:
        return VOTERS.name in topics
    return any(each.client_id.startswith(f"{group}-") for each in members)


def group_members(admin: AdminClient) -> list[GroupMember]:
    """Return the members of the groups that read `voters_topic`, with or without partitions.

    Raises:
        KafkaException: The brokers are unreachable.
    """
    # librdkafka aborts the process if a group to describe has no coordinator; a group that is
    # listed has one.
    listed = admin.list_consumer_groups(request_timeout=REQUEST_SECONDS).result().valid
    groups = [each.group_id for each in listed if each.state is not ConsumerGroupState.EMPTY]
    if not groups:
        return []
    described = admin.describe_consumer_groups(groups, request_timeout=REQUEST_SECONDS)
    members: list[GroupMember] = []
    for group, future in described.items():
        found, topics = [], set()
        for member in future.result().members:
            assigned = member.assignment.topic_partitions if member.assignment else []
            partitions = tuple(sorted(p.partition for p in assigned if p.topic == VOTERS.name))
            host = member.host.lstrip("/")
            found.append(GroupMember(member.member_id, member.client_id, host, partitions))
            topics |= {p.topic for p in assigned}
        if reads_ballots(group, found, topics):
            members += found
    return members
