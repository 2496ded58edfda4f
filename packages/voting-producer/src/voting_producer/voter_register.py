"""The producer's access to the register in PostgreSQL."""

from collections.abc import Callable, Mapping, Sequence

import psycopg

from voting_core.database import RetryingConnection, voter_register
from voting_core.election import Election
from voting_core.models import Candidate, Voter
from voting_core.service.identity import check_database_election
from voting_core.service.settings import DatabaseSettings


class PostgresVoterRegister:
    """Candidates and voters in PostgreSQL.

    Registration is idempotent, so it is repeated after the connection is lost. Every method raises
    UnreachableError if the database stays unavailable.
    """

    def __init__(
        self, settings: DatabaseSettings, election: Election, *, should_stop: Callable[[], bool]
    ) -> None:
        """Connect; retries end as soon as `should_stop` returns True.

        Raises:
            UnreachableError: The database is unreachable.
            ElectionError: It is the database of another election.
        """
        self._connection = RetryingConnection(
            settings,
            application="voting-producer",
            should_stop=should_stop,
            prepare=lambda conn: check_database_election(conn, election),
        )
        self._expects_new = True

    def candidates(self) -> Mapping[str, Candidate]:
        """Return the registered candidates by id."""
        return self._connection.run(voter_register.candidates)

    def add_first_candidates(self, new: Sequence[Candidate]) -> bool:
        """Register candidates if there are none; return whether they were registered."""
        return self._connection.run(lambda conn: voter_register.add_first_candidates(conn, new))

    def add_voters(self, voters: Sequence[Voter]) -> None:
        """Register voters and commit; those already registered stay as they are."""
        self._connection.run(lambda conn: self._add_voters(conn, voters))

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _add_voters(self, conn: psycopg.Connection, voters: Sequence[Voter]) -> None:
        """Copy voters as new ones; after a conflict, merge them until a batch is new again.

        So a first run is fast, and a repeated one does not fail to copy each batch.
        """
        if self._expects_new:
            try:
                voter_register.add_new_voters(conn, voters)
            except psycopg.errors.UniqueViolation:
                self._expects_new = False
            else:
                return
        self._expects_new = voter_register.add_voters(conn, voters) == len(voters)
