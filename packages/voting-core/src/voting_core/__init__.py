"""What the voting services share, and the operator's command `voting`.

The names below are the domain, which performs no I/O:

* `models`, `rules`: candidates, voters, votes and rejections; age, polling hours, the draw
* `topics`, `serialization`: the topics and the JSON of their records
* `election`: the identity that Kafka and PostgreSQL share, and the rules
* `checkpoint`, `aggregates`: how far decisions are published; the totals of each topic
* `foreign`: records that the services did not write
* `exceptions`: errors and their exit codes

I/O is in sub-packages, each of which names its own public API:

* `kafka`: client configuration, administration, groups, reader, producer
* `database`: connections, retries, migrations, `voter_register`, `decisions`, `incidents`
* `service`: settings, command line, the check of the election, outages, logging, signals,
  heartbeat, files, progress bar
* `operator`: the command `voting`; no service imports it
"""

from voting_core.aggregates import (
    AGGREGATE_FIELDS,
    AggregateView,
    RegressedTotal,
    check_total,
    unproven_sums,
    unproven_totals,
)
from voting_core.checkpoint import (
    OutputPosition,
    PartitionCheckpoint,
    PublishedCheckpoints,
    collect_checkpoints,
    decode_checkpoint,
    encode_checkpoint,
)
from voting_core.election import Election, ElectionMode, VotingRules
from voting_core.exceptions import (
    ElectionError,
    FatalError,
    InputError,
    JavaError,
    SchemaError,
    SerializationError,
    SetupError,
    TopicError,
    UnreachableError,
    VotingError,
)
from voting_core.models import (
    Address,
    Candidate,
    Coordinates,
    Reason,
    Rejection,
    StoredVote,
    Vote,
    Voter,
)
from voting_core.rules import VOTING_AGE, ChoiceDraw, PollingHours, age_band, age_on
from voting_core.serialization import (
    MAX_VOTER_BYTES,
    compound_key,
    decode_json,
    decode_object,
    decode_voter,
    encode_rejection,
    encode_vote,
    encode_voter,
    iso_utc,
    read_candidate,
    read_voter,
)
from voting_core.topics import AGGREGATES, ALL_TOPICS, TopicSpec

__all__ = [
    "AGGREGATES",
    "AGGREGATE_FIELDS",
    "ALL_TOPICS",
    "MAX_VOTER_BYTES",
    "VOTING_AGE",
    "Address",
    "AggregateView",
    "Candidate",
    "ChoiceDraw",
    "Coordinates",
    "Election",
    "ElectionError",
    "ElectionMode",
    "FatalError",
    "InputError",
    "JavaError",
    "OutputPosition",
    "PartitionCheckpoint",
    "PollingHours",
    "PublishedCheckpoints",
    "Reason",
    "RegressedTotal",
    "Rejection",
    "SchemaError",
    "SerializationError",
    "SetupError",
    "StoredVote",
    "TopicError",
    "TopicSpec",
    "UnreachableError",
    "Vote",
    "Voter",
    "VotingError",
    "VotingRules",
    "age_band",
    "age_on",
    "check_total",
    "collect_checkpoints",
    "compound_key",
    "decode_checkpoint",
    "decode_json",
    "decode_object",
    "decode_voter",
    "encode_checkpoint",
    "encode_rejection",
    "encode_vote",
    "encode_voter",
    "iso_utc",
    "read_candidate",
    "read_voter",
    "unproven_sums",
    "unproven_totals",
]
