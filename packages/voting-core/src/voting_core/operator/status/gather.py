"""Gathering the facts within a time limit, also while a part of the system is dead."""

import os
import socket
import time
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from typing import TypeVar

import attrs
import psycopg
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from voting_core.database import connect
from voting_core.database.incidents import unresolved_incidents
from voting_core.election import recreated_topics
from voting_core.exceptions import (
    ElectionError,
    SchemaError,
    TopicError,
    UnreachableError,
    one_line,
)
from voting_core.kafka import connect_admin
from voting_core.operator.evidence import find_unproven_totals, record_evidence
from voting_core.operator.status.brokers import broker_facts
from voting_core.operator.status.database import QUERY_SECONDS, database_facts
from voting_core.operator.status.facts import (
    BrokerFacts,
    DatabaseFacts,
    Evidence,
    Facts,
    Failure,
)
from voting_core.operator.status.pipeline import KafkaStatus, kafka_status
from voting_core.service.background import run_in_background
from voting_core.service.identity import check_backups
from voting_core.service.settings import DatabaseSettings, KafkaSettings

CONNECT_SECONDS = 4
HALF_SECONDS = 10.0
"""Limit for Kafka, and at the same time for PostgreSQL."""

EVIDENCE_SECONDS = 4.0

T = TypeVar("T")


def gather_facts(kafka: KafkaSettings, database: DatabaseSettings) -> Facts:
    """Return what can be learned about the pipeline within about 15 s.

    A half of the system that is unreachable, or does not respond in time, is a `Failure`.

    Raises:
        InputError: The database URL is malformed.
    """
    at = time.time()
    until = time.monotonic() + HALF_SECONDS
    database_half = _DatabaseHalf(database)
    try:
        reading_kafka = run_in_background(lambda: _read_kafka(kafka))
        reading_database = run_in_background(database_half.read)
        silent = Failure(f"no response within {HALF_SECONDS:.0f} s")
        kafka_half = _result(reading_kafka, until, _KafkaHalf(None, silent, BrokerFacts()))
        facts = _result(reading_database, until, silent)
        evidence = _check_both(kafka, kafka_half, database_half.conn, facts)
    finally:
        database_half.close()
    return Facts(
        at=at,
        kafka=kafka_half.facts,
        brokers=kafka_half.brokers,
        database=facts,
        evidence=evidence,
    )


@attrs.frozen
class _KafkaHalf:
    admin: AdminClient | None
    facts: KafkaStatus | Failure
    brokers: BrokerFacts


def _read_kafka(settings: KafkaSettings) -> _KafkaHalf:
    """Return what Kafka tells; an error becomes a failure."""
    admin, brokers = None, BrokerFacts()
    held_back: Mapping[tuple[str, int], int] = {}
    facts: KafkaStatus | Failure
    try:
        admin = connect_admin(settings, CONNECT_SECONDS)
        try:
            facts = kafka_status(settings, admin)
            held_back = facts.held_back
        except (TopicError, UnreachableError) as error:
            facts = _failure(error)
        brokers = broker_facts(settings, admin, held_back)
    except (UnreachableError, KafkaException) as error:
        facts = _failure(error)
    return _KafkaHalf(admin, facts, brokers)


@attrs.define
class _DatabaseHalf:
    settings: DatabaseSettings
    conn: psycopg.Connection | None = None

    def read(self) -> DatabaseFacts | Failure:
        """Return what PostgreSQL tells; an error becomes a failure.

        Raises:
            InputError: The URL is malformed.
        """
        try:
            self.conn = connect(self.settings, timeout=CONNECT_SECONDS)
            return database_facts(self.conn)
        except (SchemaError, UnreachableError, psycopg.Error) as error:
            return _failure(error)

    def close(self) -> None:
        """Close the connection, also under a thread that waits for a response that never comes."""
        if self.conn is None or self.conn.closed:
            return
        with suppress(OSError), socket.socket(fileno=os.dup(self.conn.fileno())) as duplicate:
            duplicate.shutdown(socket.SHUT_RDWR)
        self.conn.close()


def _failure(error: Exception) -> Failure:
    if isinstance(error, KafkaException):
        return Failure(str(error.args[0].str()))
    if isinstance(error, SchemaError | TopicError | ElectionError):
        return Failure(error.reason, is_setup=True, remedy=error.remedy)
    return Failure(one_line(error))


def _check_both(
    settings: KafkaSettings,
    kafka_half: _KafkaHalf,
    conn: psycopg.Connection | None,
    facts: DatabaseFacts | Failure,
) -> Evidence:
    """Return what both halves together show, if both are known."""
    admin, status = kafka_half.admin, kafka_half.facts
    if not isinstance(status, KafkaStatus) or not isinstance(facts, DatabaseFacts):
        return Evidence(is_complete=False)
    election = facts.election
    if election is None or election.election_id not in status.elections:
        # Another election's votes prove nothing.
        return Evidence(is_complete=False)
    assert admin is not None
    assert conn is not None
    until = time.monotonic() + EVIDENCE_SECONDS
    silent = Evidence(is_complete=False, problems=(f"no response for {EVIDENCE_SECONDS:.0f} s",))
    evidence = _result(run_in_background(lambda: _find_evidence(conn, status)), until, silent)
    if not evidence.is_complete or recreated_topics(election, status.topic_ids):
        return evidence
    comparing = run_in_background(lambda: check_backups(settings, admin, conn, election))
    try:
        comparing.result(max(0.0, until - time.monotonic()))
    except ElectionError as error:
        return attrs.evolve(evidence, older_store=_failure(error))
    except TimeoutError:
        reason = f"the age of the stores was not compared within {EVIDENCE_SECONDS:.0f} s"
        return attrs.evolve(evidence, problems=(*evidence.problems, reason))
    except (UnreachableError, KafkaException, psycopg.Error) as error:
        return attrs.evolve(evidence, problems=(*evidence.problems, _failure(error).reason))
    return evidence


def _find_evidence(conn: psycopg.Connection, status: KafkaStatus) -> Evidence:
    """Record and return what only another client can have written, and earlier incidents."""
    try:
        with conn.transaction():
            conn.execute(f"SET LOCAL statement_timeout = {int(QUERY_SECONDS * 1000)}".encode())
            unproven = find_unproven_totals(conn, status.sums)
        problem = record_evidence(conn, unproven, status.foreign)
        incidents = tuple(unresolved_incidents(conn))
    except psycopg.Error as error:
        return Evidence(is_complete=False, problems=(one_line(error),))
    return Evidence(unproven=unproven, incidents=incidents, problems=(problem,) if problem else ())


def _result(future: "Future[T]", until: float, default: T) -> T:
    """Return a thread's result, or a default if there is none in time."""
    try:
        return future.result(max(0.0, until - time.monotonic()))
    except TimeoutError:
        return default
