"""The members of consumer groups."""

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
        partitions: Partitions of `voters_topic` that are assigned to it.
    """

    group: str
    member_id: str
    client_id: str
    host: str
    partitions: tuple[int, ...]


def group_members(admin: AdminClient) -> list[GroupMember]:
    """Return the members of the groups that read `voters_topic`, with or without partitions.

    Kafka discloses no assignment during a rebalance. Our consumers are known by their client.id
    then, which begins with the group's name.

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
        found = []
        description = future.result()
        for member in description.members:
            assigned = member.assignment.topic_partitions if member.assignment else []
            partitions = tuple(sorted(p.partition for p in assigned if p.topic == VOTERS.name))
            found.append(
                GroupMember(group, member.member_id, member.client_id, member.host, partitions)
            )
        is_stable = description.state is ConsumerGroupState.STABLE
        if any(
            each.partitions or (not is_stable and each.client_id.startswith(f"{group}-"))
            for each in found
        ):
            members += found
    return members
