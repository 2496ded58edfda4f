"""Registering voters, on real Kafka and PostgreSQL."""

from collections.abc import Callable
from datetime import date

import attrs
import psycopg
import pytest
from psycopg.errors import UniqueViolation

from testkit.election import Election
from voting_core.database.voter_register import add_new_voters, add_voters
from voting_core.models import Address, Voter

VOTER = Voter(
    "v1",
    "Zoë\t\\ O'Neill",
    date(1904, 2, 29),
    "female",
    Address("Ohio", "1 Main\nStreet"),
    registered_age=120,
)


def registered(election: Election) -> int:
    """Return the number of registered voters."""
    row = election.conn.execute("SELECT count(*) FROM voters").fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize("add", [add_new_voters, add_voters])
def test_every_value_is_stored_as_it_is(
    election: Election, add: Callable[[psycopg.Connection, list[Voter]], object]
) -> None:
    """Special characters, old dates and missing ages are kept by both ways to register."""
    add(election.conn, [VOTER, attrs.evolve(VOTER, voter_id="v2", registered_age=None)])
    rows = election.conn.execute(
        "SELECT voter_name, date_of_birth, address_street, picture, registered_age"
        " FROM voters ORDER BY voter_id"
    ).fetchall()
    common = (VOTER.voter_name, VOTER.date_of_birth, VOTER.address.street, "")
    assert rows == [(*common, 120), (*common, None)]


def test_new_voters_are_added_together_or_not_at_all(election: Election) -> None:
    """One registered voter among them refuses the others; merging them adds those that are new."""
    others = [attrs.evolve(VOTER, voter_id=f"v{number}") for number in (2, 3)]
    add_new_voters(election.conn, [VOTER])
    with pytest.raises(UniqueViolation):
        add_new_voters(election.conn, [*others, VOTER])
    assert registered(election) == 1
    changed = attrs.evolve(VOTER, voter_name="Another")
    assert add_voters(election.conn, [*others, changed]) == 2
    assert registered(election) == 3
    names = election.conn.execute("SELECT DISTINCT voter_name FROM voters").fetchall()
    assert names == [(VOTER.voter_name,)]


def test_a_repeated_run_registers_each_voter_once(election: Election) -> None:
    """Whether none, some or all of its voters are registered already."""
    counts = []
    for voters in (2000, 9000, 9000):
        run = election.run("voting-producer", "run", f"--voters={voters}")
        assert run.returncode == 0, run.stderr
        counts.append(registered(election))
    assert counts[0] < counts[1] == counts[2]
