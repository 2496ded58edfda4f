"""The election's identity in Kafka: the topic `voting_election`."""

import attrs
from confluent_kafka import Message
from confluent_kafka.admin import AdminClient

from voting_core.election import Election, decode_election, encode_election
from voting_core.exceptions import SerializationError
from voting_core.foreign import ForeignRecord, ForeignRecords
from voting_core.kafka.producer import ReliableProducer
from voting_core.kafka.reader import position, read_to_end
from voting_core.service.settings import KafkaSettings
from voting_core.topics import VOTING_ELECTION

DELIVERY_SECONDS = 30.0


@attrs.frozen
class PublishedElections:
    """The content of `voting_election`.

    Attributes:
        elections: The last description of each election by id; normally there is one.
        foreign: Records that describe no election.
    """

    elections: dict[str, Election]
    foreign: ForeignRecords


def read_published_elections(settings: KafkaSettings, admin: AdminClient) -> PublishedElections:
    """Read the topic `voting_election`.

    Raises:
        TopicError: The topic does not exist.
        UnreachableError: The topic cannot be read to its end.
    """
    elections: dict[str, Election] = {}
    foreign = ForeignRecords()
    for message in read_to_end(settings, admin, VOTING_ELECTION.name):
        try:
            election = decode_published(message)
        except SerializationError as error:
            foreign.add(ForeignRecord(VOTING_ELECTION.name, *position(message), str(error)))
        else:
            elections[election.election_id] = election
    return PublishedElections(elections, foreign)


def publish_election(settings: KafkaSettings, election: Election) -> None:
    """Write an election to `voting_election`.

    Raises:
        KafkaException: The record was not delivered.
    """
    producer = ReliableProducer(settings, timeout=DELIVERY_SECONDS)
    record = (election.election_id.encode(), encode_election(election))
    producer.send(VOTING_ELECTION.name, [record])
    producer.flush()


def decode_published(message: Message) -> Election:
    """Return the election that a record of `voting_election` describes.

    Raises:
        SerializationError: It describes no election.
    """
    election = decode_election(message.value())
    if message.key() != election.election_id.encode():
        raise SerializationError("the key is not the election_id")
    return election
