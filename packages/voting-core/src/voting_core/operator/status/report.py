"""The state of the pipeline and its diagnosis, as JSON and as tables."""

from datetime import UTC
from typing import Any

import attrs
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from voting_core.operator.status.backlog import Backlog
from voting_core.operator.status.diagnosis import Diagnosis
from voting_core.operator.status.facts import DatabaseFacts, Facts, Failure
from voting_core.operator.status.pipeline import KafkaStatus


def status_json(facts: Facts, diagnosis: Diagnosis) -> dict[str, Any]:
    """Return the state as a JSON object; what is not known is null."""
    kafka, database = facts.kafka, facts.database
    found: dict[str, Any] = {
        "diagnosis": {
            "exit_code": int(diagnosis.exit_code),
            "summary": str(diagnosis),
            "problems": [each.as_json() for each in diagnosis.problems],
        },
        "registered": None,
        "votes": None,
        "rejected": None,
        "flow": None,
        "in_flight": _in_flight(facts),
        "kafka": _failure(kafka),
        "postgres": _failure(database),
        "incidents": [
            {**attrs.asdict(each), "detected_at": each.detected_at.isoformat()}
            for each in facts.evidence.incidents
        ],
        "unproven_totals": dict(facts.evidence.unproven),
        "notes": list(facts.problems),
    }
    if isinstance(database, DatabaseFacts):
        rejected = None if database.rejected is None else dict(database.rejected)
        found |= {
            "registered": database.registered,
            "votes": database.votes,
            "rejected": rejected,
            "postgres": _database_json(database),
        }
    if isinstance(kafka, KafkaStatus):
        found |= {"flow": _flow_json(facts, kafka), "kafka": _kafka_json(facts, kafka)}
    return found


def status_tables(facts: Facts, diagnosis: Diagnosis) -> Group:
    """Return the state as tables, with the diagnosis as the last line."""
    parts: list[RenderableType] = [_stages(facts)]
    details = _details(facts)
    if details.row_count:
        parts.append(details)
    parts += [Text(f"note: {each}") for each in facts.problems]
    parts += [Text(f"{each.kind}: {each}") for each in diagnosis.problems[1:]]
    parts.append(Text(f"Diagnosis: {_line(diagnosis)}"))
    return Group(*parts)


def _line(diagnosis: Diagnosis) -> str:
    return (
        f"{diagnosis.problems[0].kind}: {diagnosis.problems[0]}" if diagnosis.problems else "well"
    )


def _in_flight(facts: Facts) -> bool | None:
    kafka, database = facts.kafka, facts.database
    if not isinstance(kafka, KafkaStatus) or not isinstance(database, DatabaseFacts):
        return None
    return None if database.votes is None else bool(kafka.in_flight_reasons(database.votes))


def _failure(half: object) -> dict[str, Any] | None:
    return {"reachable": half.is_setup, "error": half.reason} if isinstance(half, Failure) else None


def _flow_json(facts: Facts, kafka: KafkaStatus) -> dict[str, Any]:
    return {
        "waiting": kafka.waiting,
        "tallied": kafka.tallied,
        "tallied_at": kafka.tallied_at,
        "decided_at": kafka.last_decision_at,
        "last_decision_age": _age(facts, kafka.last_decision_at),
        "last_total_age": _age(facts, kafka.tallied_at),
        "undecided": _backlog_json(facts, kafka.undecided),
        "untallied": _backlog_json(facts, kafka.untallied),
    }


def _backlog_json(facts: Facts, backlog: Backlog) -> dict[str, Any]:
    return {
        "records": backlog.records,
        "is_complete": backlog.is_complete,
        "seconds": _age(facts, backlog.oldest) or 0.0,
        "partitions": [
            {
                "partition": each.partition,
                "records": each.records,
                "seconds": _age(facts, each.oldest),
            }
            for each in backlog.partitions
        ],
    }


def _age(facts: Facts, time: float | None) -> float | None:
    return None if time is None else round(max(0.0, facts.at - time), 3)


def _kafka_json(facts: Facts, kafka: KafkaStatus) -> dict[str, Any]:
    brokers = facts.brokers
    return {
        "reachable": True,
        "error": None,
        "elections": sorted(kafka.elections),
        "groups": None if brokers.groups is None else [attrs.asdict(g) for g in brokers.groups],
        "open_transactions": [attrs.asdict(each) for each in brokers.open_transactions],
        "foreign_records": kafka.foreign.as_json(),
        "log_directories": (
            None
            if brokers.log_directories is None
            else [attrs.asdict(each) for each in brokers.log_directories]
        ),
        "leaderless": [list(each) for each in brokers.leaderless],
    }


def _database_json(database: DatabaseFacts) -> dict[str, Any]:
    election, write_seconds = database.election, database.write_seconds
    return {
        "reachable": True,
        "error": None,
        "election": None if election is None else election.election_id,
        "round_trip_seconds": round(database.round_trip, 6),
        "write_seconds": None if write_seconds is None else round(write_seconds, 6),
        "disk_full": database.disk_full,
        "sessions": [attrs.asdict(each) for each in database.services],
        "slow_queries": [attrs.asdict(each) for each in database.slow],
        "locks": [attrs.asdict(each) for each in database.locks],
    }


def _stages(facts: Facts) -> Table:
    table = Table("Stage", "Count", "Age of the oldest, or last", title="Pipeline")
    table.columns[1].justify = table.columns[2].justify = "right"
    kafka, database = facts.kafka, facts.database

    def add(stage: str, count: object, age: float | None = None) -> None:
        number = f"{count:,}" if isinstance(count, int) else "unknown" if count is None else count
        table.add_row(stage, str(number), "" if age is None else f"{age:,.1f} s")

    if isinstance(database, DatabaseFacts):
        add("registered voters", database.registered)
    if isinstance(kafka, KafkaStatus):
        add("records waiting for a decision", kafka.undecided, _age(facts, kafka.undecided.oldest))
        add("last decision", "", _age(facts, kafka.last_decision_at))
    else:
        add(f"Kafka: {kafka.reason}", "unknown")
    if isinstance(database, DatabaseFacts):
        add("votes accepted", database.votes)
        for reason, count in (database.rejected or {}).items():
            add(f"rejected: {reason}", count)
    else:
        add(f"PostgreSQL: {database.reason}", "unknown")
    if isinstance(kafka, KafkaStatus):
        add("votes waiting to be tallied", kafka.untallied, _age(facts, kafka.untallied.oldest))
        add("votes tallied", kafka.tallied, _age(facts, kafka.tallied_at))
    return table


def _details(facts: Facts) -> Table:
    table = Table("Detail", "")
    for group in facts.brokers.groups or ():
        for member in group.members:
            partitions = ", ".join(map(str, member.partitions)) or "none"
            table.add_row(
                f"{group.name} ({group.state})",
                Text(f"{member.client_id} at {member.host}, partitions: {partitions}"),
            )
    for transaction in facts.brokers.open_transactions:
        table.add_row("open transaction", Text(str(transaction)))
    if isinstance(facts.kafka, KafkaStatus):
        for record in facts.kafka.foreign.first:
            table.add_row("foreign record", Text(str(record)))
    if isinstance(facts.database, DatabaseFacts):
        for lock in facts.database.locks:
            table.add_row("lock", Text(f"{lock.what} of {lock.holder}, {lock.seconds:,.0f} s"))
        for session in facts.database.slow:
            table.add_row("slow query", Text(f"{session}, {session.seconds:,.0f} s {session.wait}"))
    for incident in facts.evidence.incidents:
        table.add_row(
            f"incident {incident.incident_id}",
            Text(
                f"{incident.detected_at.astimezone(UTC):%Y-%m-%d %H:%M:%SZ} {incident.kind} on "
                f"{incident.subject}: {incident.detail}"
            ),
        )
    return table
