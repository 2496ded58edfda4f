"""What is known about the pipeline at one time, as immutable values."""

from collections.abc import Mapping

import attrs

from voting_core.database.incidents import Incident
from voting_core.election import Election
from voting_core.kafka import GroupMember
from voting_core.operator.status.pipeline import KafkaStatus
from voting_core.operator.transactions import OpenTransaction


@attrs.frozen
class Failure:
    """Why nothing is known about Kafka or PostgreSQL.

    Attributes:
        is_setup: Whether it is reachable, and something of the election is missing or wrong.
        remedy: What to do, if the error says it.
    """

    reason: str
    is_setup: bool = False
    remedy: str | None = None


@attrs.frozen
class ConsumerGroup:
    """A consumer group that reads `voters_topic`.

    Attributes:
        state: Kafka's name of it, such as Stable, Empty or PreparingRebalance.
    """

    name: str
    state: str
    members: tuple[GroupMember, ...]


@attrs.frozen
class LogDirectory:
    """A log directory of a broker; sizes in bytes, None if the broker does not report them."""

    broker: int
    path: str
    is_offline: bool
    usable: int | None = None
    total: int | None = None


@attrs.frozen
class BrokerFacts:
    """What Kafka's administrative requests tell; None for a request that failed.

    Attributes:
        problems: Why requests failed.
    """

    groups: tuple[ConsumerGroup, ...] | None = None
    log_directories: tuple[LogDirectory, ...] | None = None
    open_transactions: tuple[OpenTransaction, ...] = ()
    leaderless: tuple[tuple[str, int], ...] = ()
    problems: tuple[str, ...] = ()


@attrs.frozen
class Session:
    """A database session.

    Attributes:
        address: Of the client; "this host" for a Unix socket.
        state: PostgreSQL's name of it, such as active or idle in transaction.
        wait: What it waits for, as PostgreSQL names it; empty if nothing.
        seconds: How long it has been in this state.
    """

    pid: int
    application: str
    address: str
    state: str
    wait: str
    seconds: float

    def __str__(self) -> str:
        return f"{self.application or 'unnamed'} (pid {self.pid} at {self.address})"


@attrs.frozen
class HeldLock:
    """A lock that keeps our services from working.

    Attributes:
        holder: The session that holds it; None for a prepared transaction.
        blocked: The session that waits for it; None if none waits now.
        what: The lock, such as "AccessExclusiveLock on votes".
        seconds: How long the blocked session has waited, or the holder's transaction is open.
    """

    holder: Session | None
    blocked: Session | None
    what: str
    seconds: float


@attrs.frozen(kw_only=True)
class DatabaseFacts:
    """What PostgreSQL tells; None for a query that was too slow.

    Attributes:
        registered: Number of registered voters.
        rejected: Number of rejections by reason.
        round_trip: Seconds of an empty query.
        write_seconds: Seconds of a small write, which is rolled back.
        disk_full: PostgreSQL's message if that write found no space.
        services: The sessions of our services.
        slow: Sessions of any client with a query of several seconds.
        problems: Why queries failed.
    """

    election: Election | None
    registered: int | None = None
    votes: int | None = None
    rejected: Mapping[str, int] | None = None
    round_trip: float
    write_seconds: float | None = None
    disk_full: str | None = None
    services: tuple[Session, ...] = ()
    slow: tuple[Session, ...] = ()
    locks: tuple[HeldLock, ...] = ()
    problems: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class Evidence:
    """What both halves together show.

    Attributes:
        unproven: Totals that exceed the votes in PostgreSQL, by topic.
        incidents: The unresolved incidents.
        older_store: Which store is an older backup than the other; None if neither is.
        is_complete: Whether everything was checked.
        problems: Why something could not be checked or recorded.
    """

    is_complete: bool = True
    unproven: Mapping[str, str] = attrs.field(factory=dict)
    incidents: tuple[Incident, ...] = ()
    older_store: Failure | None = None
    problems: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class Facts:
    """What is known about the pipeline.

    Attributes:
        at: When, in seconds since 1970; ages are relative to it.
        kafka: What the topics tell.
        brokers: What Kafka's administrative requests tell.
        database: What PostgreSQL tells.
        evidence: What both together show.
    """

    at: float
    kafka: KafkaStatus | Failure
    brokers: BrokerFacts = attrs.field(factory=BrokerFacts)
    database: DatabaseFacts | Failure
    evidence: Evidence = attrs.field(factory=Evidence)

    @property
    def problems(self) -> tuple[str, ...]:
        """Why something is not known, although its half of the system is reachable."""
        database = self.database.problems if isinstance(self.database, DatabaseFacts) else ()
        return (*self.brokers.problems, *database, *self.evidence.problems)
