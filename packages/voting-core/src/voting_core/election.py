"""The election's identity: what makes one database and one Kafka cluster belong together.

`voting init` writes the same description to the table `election` and to the topic
`voting_election`. Every command and service compares the two before it does anything else, so that
it never counts the ballots of one election in the database of another.
"""

import enum
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import msgspec

from voting_core.exceptions import ElectionError, InputError, SerializationError
from voting_core.rules import VOTING_AGE, PollingHours
from voting_core.serialization import decode_object

MAX_BALLOT_DELAY = timedelta(days=7)
"""How long a ballot may take from its sender to the broker, which refuses older timestamps."""

MAX_CLOCK_AHEAD = timedelta(hours=1)
"""How far a sender's clock may be ahead of the broker's."""

LIVE_BALLOT_TIMES = {"message.timestamp.type": "LogAppendTime"}
"""The configuration of `voters_topic` in a live election."""

DEFAULT_NAME = "Election"
DEFAULT_SEED = "voting"


class ElectionMode(enum.StrEnum):
    """What an election is for: `live` counts real ballots, `rehearsal` may invent them."""

    LIVE = "live"
    REHEARSAL = "rehearsal"


@attrs.frozen(kw_only=True)
class VotingRules:
    """The rules by which all ballots of the election are decided.

    Attributes:
        voting_age: Minimum age in completed years.
        draw_seed: Seed of the draw for a ballot without a choice; a live election draws none.
        draw_weights: Relative weight of each candidate in the draw; empty for equal weights.
    """

    voting_age: int = VOTING_AGE
    hours: PollingHours = attrs.field(factory=PollingHours)
    draw_seed: str = DEFAULT_SEED
    draw_weights: Mapping[str, float] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class Election:
    """An election, as its database and its Kafka cluster describe it.

    Attributes:
        began_at: A ballot with an earlier timestamp is malformed.
        topic_ids: The registered id of each topic by name, except that of `voting_election`.
    """

    election_id: str
    mode: ElectionMode = ElectionMode.REHEARSAL
    name: str = DEFAULT_NAME
    began_at: datetime
    rules: VotingRules = attrs.field(factory=VotingRules)
    topic_ids: Mapping[str, str] = attrs.field(factory=dict)

    @property
    def is_live(self) -> bool:
        """Whether real ballots are counted."""
        return self.mode is ElectionMode.LIVE

    def __str__(self) -> str:
        return f"{self.election_id} ({self.name!r}, {self.mode})"


@attrs.frozen(kw_only=True)
class ElectionChanges:
    """What `voting init` is asked for; None leaves a value as it is."""

    mode: ElectionMode | None = None
    name: str | None = None
    began_at: datetime | None = None
    polls_open: datetime | None = None
    polls_close: datetime | None = None
    draw_seed: str | None = None
    draw_weights: Mapping[str, float] | None = None


def new_election(began_at: datetime) -> Election:
    """Return a rehearsal with a new id and the default rules."""
    return Election(election_id=str(uuid.uuid4()), began_at=began_at)


def change_election(before: Election, changes: ElectionChanges, *, is_new: bool) -> Election:
    """Return an election after changes.

    The polling hours may change at any time. The rest is fixed once the election exists, because
    decisions that were already made depend on it.

    Raises:
        InputError: A change is not possible.
    """
    rules, hours = before.rules, before.rules.hours
    opens, closes = changes.polls_open or hours.open, changes.polls_close or hours.close
    if opens is not None and closes is not None and closes <= opens:
        raise InputError(f"polls close at {closes.isoformat()}, not after {opens.isoformat()}")
    changed = attrs.evolve(
        before,
        mode=before.mode if changes.mode is None else changes.mode,
        name=before.name if changes.name is None else changes.name,
        began_at=before.began_at if changes.began_at is None else changes.began_at,
        rules=attrs.evolve(
            rules,
            hours=PollingHours(opens, closes),
            draw_seed=rules.draw_seed if changes.draw_seed is None else changes.draw_seed,
            draw_weights=changes.draw_weights or rules.draw_weights,
        ),
    )
    if is_new:
        return changed
    fixed = {
        "mode": (before.mode, changed.mode),
        "begin": (before.began_at.isoformat(), changed.began_at.isoformat()),
        "draw seed": (rules.draw_seed, changed.rules.draw_seed),
        "draw weights": (dict(rules.draw_weights), dict(changed.rules.draw_weights)),
    }
    for what, (old, new) in fixed.items():
        if old != new:
            raise InputError(
                f"the {what} of election {before.election_id} is {old}, not {new}: it is fixed "
                "when the election is created; `voting reset` begins another"
            )
    return changed


def agreed_election(stored: Election | None, published: Mapping[str, Election]) -> Election:
    """Return the election that the database and Kafka agree on.

    Args:
        stored: The election of the database.
        published: The elections on `voting_election` by id.

    Raises:
        ElectionError: They do not agree; the message names both.
    """
    check_same_election(stored, published)
    if stored is None:
        raise ElectionError("neither the database nor Kafka has an election", "run `voting init`")
    if stored.election_id not in published:
        raise ElectionError(
            f"the database is of election {stored}, and Kafka has none",
            "check --kafka-bootstrap-servers; if topics were deleted, `voting init` registers them",
        )
    if stored != published[stored.election_id]:
        raise ElectionError(
            f"the database and Kafka describe election {stored.election_id} differently",
            "run `voting init`, with the services stopped",
        )
    return stored


def check_same_election(stored: Election | None, published: Mapping[str, Election]) -> None:
    """Check that the database and Kafka do not belong to different elections.

    Raises:
        ElectionError: They do; the message names both.
    """
    if not published or (stored is not None and stored.election_id in published):
        return
    here = "of no election" if stored is None else f"of election {stored}"
    there = " and ".join(map(str, published.values()))
    raise ElectionError(
        f"the database is {here}, Kafka of election {there}",
        "check --kafka-bootstrap-servers and --database-url, or restore a backup; `voting reset` "
        "deletes both and begins another",
    )


def recreated_topics(election: Election, ids: Mapping[str, str]) -> dict[str, str]:
    """Return the topics whose ids are not the registered ones, with a description of both."""
    return {
        name: f"id {topic_id}, registered as {election.topic_ids[name]}"
        for name, topic_id in sorted(ids.items())
        if name in election.topic_ids and election.topic_ids[name] != topic_id
    }


def ballot_time_config(election: Election, now: datetime) -> dict[str, str]:
    """Return the configuration of `voters_topic` that governs the timestamps of ballots.

    In a live election the broker sets the timestamps, so that a sender cannot choose a ballot's
    time. Otherwise the broker refuses timestamps that are far off, such as seconds in place of
    milliseconds.
    """
    if election.is_live:
        return dict(LIVE_BALLOT_TIMES)
    age = max(now - election.began_at, timedelta()) + MAX_BALLOT_DELAY
    return {
        "message.timestamp.type": "CreateTime",
        "message.timestamp.before.max.ms": str(age // timedelta(milliseconds=1)),
        "message.timestamp.after.max.ms": str(MAX_CLOCK_AHEAD // timedelta(milliseconds=1)),
    }


def encode_election(election: Election) -> bytes:
    """Return an election as a value of `voting_election`."""
    return msgspec.json.encode(
        {
            "election_id": election.election_id,
            "mode": election.mode,
            "name": election.name,
            "began_at": _iso(election.began_at),
            "rules": {
                "voting_age": election.rules.voting_age,
                "polls_open": _iso(election.rules.hours.open),
                "polls_close": _iso(election.rules.hours.close),
                "draw_seed": election.rules.draw_seed,
                "draw_weights": dict(election.rules.draw_weights),
            },
            "topic_ids": dict(election.topic_ids),
        },
        order="sorted",
    )


def decode_election(value: bytes | None) -> Election:
    """Return the election that a value of `voting_election` describes.

    Raises:
        SerializationError: The value does not describe an election.
    """
    found = decode_object(value)
    try:
        rules = found["rules"]
        return Election(
            election_id=_text(found["election_id"]),
            mode=ElectionMode(found["mode"]),
            name=_text(found["name"]),
            began_at=_time(found["began_at"]),
            rules=VotingRules(
                voting_age=int(rules["voting_age"]),
                hours=PollingHours(
                    *(rules[name] and _time(rules[name]) for name in ("polls_open", "polls_close"))
                ),
                draw_seed=_text(rules["draw_seed"]),
                draw_weights={_text(k): float(v) for k, v in rules["draw_weights"].items()},
            ),
            topic_ids={_text(k): _text(v) for k, v in found["topic_ids"].items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SerializationError(f"not an election: {error!r}") from error


def _text(value: Any) -> str:
    if type(value) is not str:
        raise TypeError(f"expected a text, found {value!r:.80}")
    return value


def _time(value: Any) -> datetime:
    time = datetime.fromisoformat(_text(value))
    if time.utcoffset() is None:
        raise ValueError(f"{value} has no offset from UTC")
    return time


def _iso(time: datetime | None) -> str | None:
    return None if time is None else time.astimezone(UTC).isoformat()
