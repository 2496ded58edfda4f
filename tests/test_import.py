"""Importing a register into a real PostgreSQL."""

import io
import itertools
import subprocess
import threading
import tracemalloc
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path

import attrs
import psycopg
import pytest
from structlog.testing import capture_logs

from testkit.election import Election
from testkit.paths import SCRIPTS
from testkit.waiting import eventually
from voting_core.database import connect
from voting_core.database.voter_register import add_voters, candidates, voter_row
from voting_core.exceptions import InputError
from voting_core.models import Address, Candidate, Voter
from voting_core.operator.register_import import (
    CANDIDATES,
    LISTED_BAD_ROWS,
    LOGGED_BAD_ROWS,
    VOTERS,
    BadRow,
    FileFormat,
    ImportReport,
    RegisterLines,
    RegisterRow,
    import_register,
    read_register,
)

HEADER = "voter_id,voter_name,date_of_birth,gender,address_state,registered_age\n"


def voter(number: int, *, state: str = "Ohio") -> Voter:
    """A voter whose id is the number."""
    return Voter(f"v{number:06}", "Zoë", date(1980, 2, 29), "female", Address(state))


def entries(voters: Iterable[Voter]) -> Iterator[RegisterRow]:
    """Voters as the rows of a file with a header."""
    for row, each in enumerate(voters, start=1):
        yield RegisterRow(row, row + 1, voter_row(each))


def registered(conn: psycopg.Connection) -> dict[str, str]:
    """Every registered voter's location."""
    return dict(conn.execute("SELECT voter_id, address_state FROM voters").fetchall())


def file_of(directory: Path, *rows: str, name: str = "voters.csv") -> Path:
    """A CSV file of voters."""
    file = directory / name
    file.write_text(HEADER + "".join(f"{row}\n" for row in rows), encoding="utf-8")
    return file


def test_a_file_becomes_the_register(election: Election, tmp_path: Path) -> None:
    """Every column of the file is stored in the column of the same name."""
    people = tmp_path / "people.csv"
    people.write_text(
        "candidate_id,candidate_name,party_affiliation,biography,campaign_platforms,photo_url\n"
        'ada,Ada Lovelace,Engines,"born 1815,\nin London",steam,https://example.org/ada\n'
    )
    columns = [name for name in VOTERS.columns if name not in ("date_of_birth", "registered_age")]
    row = [f"{name}: \\N\té'{{}}" for name in columns]
    file = tmp_path / "voters.csv"
    file.write_text(
        ",".join([*columns, "date_of_birth", "registered_age"])
        + "\n"
        + ",".join([*row, "1980-02-29", "44"])
    )
    first = election.run("voting", "import", "candidates", str(people))
    assert first.stdout == "1 candidates read: 1 new, 0 already registered\n", first.stderr
    second = election.run("voting", "import", "voters", str(file))
    assert second.stdout == "1 voters read: 1 new, 0 already registered\n", second.stderr
    assert (first.returncode, second.returncode) == (0, 0)
    assert candidates(election.conn) == {
        "ada": Candidate(
            "ada",
            "Ada Lovelace",
            "Engines",
            "born 1815,\nin London",
            "steam",
            "https://example.org/ada",
        )
    }
    cursor = election.conn.execute("SELECT * FROM voters")
    assert cursor.description is not None
    names = [column.name for column in cursor.description]
    (stored,) = cursor.fetchall()
    expected = dict(zip(columns, row, strict=True))
    assert dict(zip(names, stored, strict=True)) == expected | {
        "date_of_birth": date(1980, 2, 29),
        "registered_age": 44,
    }


def test_importing_again_changes_nothing(election: Election, tmp_path: Path) -> None:
    """A row that is registered already, or repeated in the file, is counted as such."""
    rows = ["v1,Zoë,1980-02-29,f,Ohio,44", "v2,Bob,1990-01-01,m,Iowa,"]
    file = file_of(tmp_path, *rows, rows[0])
    once = election.run("voting", "import", "voters", str(file))
    again = election.run("voting", "import", "voters", str(file), "--skip-bad")
    assert once.stdout == "3 voters read: 2 new, 1 already registered\n", once.stderr
    assert again.stdout == "3 voters read: 0 new, 3 already registered\n", again.stderr
    assert registered(election.conn) == {"v1": "Ohio", "v2": "Iowa"}


BAD = (
    "v1,Zoë,1980-02-30,f,Ohio,44",
    "v2,Bob,1990-01-01,m,Iowa,",
    "",
    "v2,Bob,1990-01-01,m,Utah,",
    "v3,,1990-01-01,m,Utah,",
)


def test_one_bad_row_stops_the_whole_import(election: Election, tmp_path: Path) -> None:
    """Each bad row is named with its line, the exit code is 2, and nothing is stored."""
    result = election.run("voting", "import", "voters", str(file_of(tmp_path, *BAD)))
    assert result.returncode == 2
    messages = [line for line in result.stderr.splitlines() if not line.startswith("{")]
    name = tmp_path / "voters.csv"
    assert messages == [
        f"{name}: row 1 (line 2): date_of_birth: expected a date as YYYY-MM-DD",
        f"{name}: row 3 (line 5): 'v2' differs from row 2 (line 3) in address_state",
        f"{name}: row 4 (line 6): voter_name: must not be empty",
        f"voting: {name}: 3 rows are bad, so nothing was imported",
    ]
    assert registered(election.conn) == {}


def test_bad_rows_may_be_skipped(election: Election, tmp_path: Path) -> None:
    """The good rows are registered; the bad ones are counted, and named in the log."""
    result = election.run("voting", "import", "voters", str(file_of(tmp_path, *BAD)), "--skip-bad")
    assert result.returncode == 0, result.stderr
    assert result.stdout == "4 voters read: 1 new, 0 already registered, 3 skipped\n"
    assert [result.stderr.count(f'"row": {row}, ') for row in (1, 2, 3, 4)] == [1, 0, 1, 1]
    assert registered(election.conn) == {"v2": "Iowa"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (HEADER, "has no rows"),
        (HEADER + "v1\nv2\n", "has no good rows"),
        (HEADER.replace("gender", "sex"), "column 'sex': not a column of the register"),
        ("", "is empty"),
    ],
)
def test_a_file_without_any_good_row_is_an_error(
    election: Election, tmp_path: Path, content: str, message: str
) -> None:
    """The exit code is 2 even where bad rows may be skipped."""
    file = tmp_path / "voters.csv"
    file.write_text(content)
    result = election.run("voting", "import", "voters", str(file), "--skip-bad")
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1] == f"voting: {file}: {message}"


def test_standard_input_needs_a_format(election: Election) -> None:
    """A pipe is read like a file if its format is given."""
    command = [str(SCRIPTS / "voting"), "import", "candidates", "-"]
    line = b'{"candidate_id": "ada", "candidate_name": "Ada"}\n'
    results = [
        subprocess.run(
            [*command, *options],
            input=line,
            env=election.environment(),
            capture_output=True,
            timeout=60,
            check=False,
        )
        for options in ([], ["--format=jsonl"])
    ]
    assert [result.returncode for result in results] == [2, 0]
    assert b"--format csv or jsonl" in results[0].stderr
    assert list(candidates(election.conn)) == ["ada"]


def test_a_registered_voter_is_never_changed(election: Election) -> None:
    """A row that differs from the registered one is bad, and the register stays as it is."""
    import_register(election.conn, VOTERS, entries([voter(1)]))
    arriving = [voter(1, state="Utah"), voter(1), voter(2), voter(1, state="Iowa")]
    report = import_register(election.conn, VOTERS, entries(arriving), skip_bad=True)
    assert report == ImportReport(
        rows=4,
        added=1,
        already_registered=1,
        bad=2,
        bad_rows=(
            BadRow(1, 2, "'v000001' differs from the registered row in address_state"),
            BadRow(4, 5, "'v000001' differs from row 2 (line 3) in address_state"),
        ),
        stored=True,
    )
    assert registered(election.conn) == {"v000001": "Ohio", "v000002": "Ohio"}


def test_a_candidate_that_differs_is_bad(election: Election) -> None:
    """All columns of a candidate are compared, as those of a voter are."""
    rows = [("ada", "Ada", "", "", "", ""), ("ada", "Ada", "Engines", "", "", "x")]
    report = import_register(
        election.conn, CANDIDATES, [RegisterRow(n, n, row) for n, row in enumerate(rows, start=1)]
    )
    assert [bad.reason for bad in report.bad_rows] == [
        "'ada' differs from row 1 (line 1) in party_affiliation, photo_url"
    ]
    assert not report.stored
    assert candidates(election.conn) == {}


def test_a_missing_age_equals_only_a_missing_age(election: Election) -> None:
    """A row without an age is the same as another without one, and differs from one with it."""
    without = voter(1)
    with_age = attrs.evolve(without, registered_age=44)
    report = import_register(election.conn, VOTERS, entries([without, without, with_age]))
    assert [str(bad) for bad in report.bad_rows] == [
        "row 3 (line 4): 'v000001' differs from row 1 (line 2) in registered_age"
    ]


def test_reading_ends_after_enough_bad_rows(election: Election) -> None:
    """A file of bad rows is not read to its end; this one is endless."""
    endless = (BadRow(row, row, "wrong") for row in itertools.count(1))
    report = import_register(election.conn, VOTERS, endless)
    assert (report.rows, report.bad, len(report.bad_rows)) == (LISTED_BAD_ROWS,) * 3
    assert not report.stored


def test_many_skipped_rows_do_not_fill_the_log(election: Election) -> None:
    """All bad and differing rows are counted, but only the first are logged."""
    count = LOGGED_BAD_ROWS + 50
    import_register(election.conn, VOTERS, entries(voter(n) for n in range(count)))
    arriving: list[RegisterRow | BadRow] = [BadRow(0, 1, "wrong")]
    arriving += entries(voter(n, state="Utah") for n in range(count))
    with capture_logs() as lines:
        report = import_register(election.conn, VOTERS, arriving, skip_bad=True)
    assert (report.bad, report.added, report.already_registered) == (count + 1, 0, 0)
    assert len(report.bad_rows) == LISTED_BAD_ROWS
    assert [line["event"] for line in lines] == [
        *["row skipped"] * LOGGED_BAD_ROWS,
        "further skipped rows are not named",
    ]


def test_an_error_while_reading_leaves_the_register_as_it_was(election: Election) -> None:
    """The import is rolled back, and the connection can be used again."""

    def broken() -> Iterator[RegisterRow]:
        yield from entries([voter(1)])
        raise InputError("the disk is gone")

    with pytest.raises(InputError, match="the disk is gone"):
        import_register(election.conn, VOTERS, broken())
    assert registered(election.conn) == {}
    assert import_register(election.conn, VOTERS, entries([voter(1)])).added == 1


def test_rows_of_concurrent_transactions_are_compared_too(election: Election) -> None:
    """An import waits for a transaction that registers voters, and then sees its rows."""
    reports: list[ImportReport] = []

    def run() -> None:
        with connect(election.database, application="test-import") as conn:
            arriving = [voter(1), voter(2), voter(3)]
            reports.append(import_register(conn, VOTERS, entries(arriving), skip_bad=True))

    thread = threading.Thread(target=run)
    with connect(election.database) as other, other.transaction():
        add_voters(other, [voter(2, state="Utah"), voter(3)])
        thread.start()
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'test-import'"
        waiting += " AND wait_event_type = 'Lock'"
        eventually(
            lambda: election.conn.execute(waiting).fetchone() == (1,),
            "the import waits for the other transaction",
        )
    thread.join(30)
    assert [(r.added, r.already_registered, r.bad) for r in reports] == [(1, 1, 1)]
    assert registered(election.conn)["v000002"] == "Utah"


def test_ballots_are_decided_while_a_register_is_stored(election: Election) -> None:
    """A vote of a registered voter does not wait for an import of other voters."""
    import_register(election.conn, VOTERS, entries([voter(1)]))
    election.conn.execute("INSERT INTO candidates (candidate_id, candidate_name) VALUES ('a','A')")
    with connect(election.database) as other:
        other.execute("SET lock_timeout = '5s'")
        with election.conn.transaction():
            import_register(election.conn, VOTERS, entries([voter(2)]))
            # The transaction around it keeps the locks of the import.
            other.execute(
                "INSERT INTO votes VALUES ('v000001', 'a', now(), 'Ohio', 'f', 44, 't', 0, 0)"
            )
    assert election.conn.execute("SELECT count(*) FROM votes").fetchone() == (1,)


def test_memory_does_not_grow_with_the_file(election: Election) -> None:
    """Four times the rows take no more memory at the peak."""

    def peak(rows: int) -> int:
        lines = (f"v{row:06},Zoë Ångström,1980-02-29,female,Ohio,44\n" for row in range(rows))
        file = LineFile(itertools.chain([HEADER], lines))
        tracemalloc.start()
        try:
            read = read_register(RegisterLines(file), VOTERS, FileFormat.CSV)
            assert import_register(election.conn, VOTERS, read, skip_bad=True).rows == rows
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(100)
    assert peak(8000) < peak(2000) + 100_000


class LineFile(io.BytesIO):
    """A file whose lines are generated when they are read."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)

    def readline(self, size: int | None = -1, /) -> bytes:
        """Return the next line."""
        return next(self._lines, "").encode()
