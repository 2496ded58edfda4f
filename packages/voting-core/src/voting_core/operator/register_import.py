"""Loading a register into PostgreSQL: all of a file or none of it.

The rows are copied into a temporary table and merged from there, in one transaction, so that a
file may be as large as the disk allows.
"""

from bisect import insort
from collections.abc import Iterable
from typing import LiteralString

import attrs
import psycopg
import structlog
from psycopg import sql

from voting_core.operator.register_file import Entry, Fault, RegisterTable

__all__ = ["LISTED_FAULTS", "LOGGED_FAULTS", "ImportReport", "import_register"]

LISTED_FAULTS = 20
"""So many bad rows are named; when that many are found, no more are looked for."""

LOGGED_FAULTS = 100
"""So many skipped rows are named in the log."""

log = structlog.get_logger()


@attrs.frozen
class ImportReport:
    """What became of the rows of a file.

    Attributes:
        rows: How many were read: all of them, unless too many were bad to go on.
        added: How many were new and are registered now.
        already_registered: How many said the same as the register, or as a row before.
        bad: How many cannot be registered.
        faults: What is wrong with the first of these, in the order of the rows.
        stored: Whether the good rows are in the register now.
    """

    rows: int
    added: int
    already_registered: int
    bad: int
    faults: tuple[Fault, ...]
    stored: bool


class _Faults:
    """Counts bad rows and keeps the first; where they are skipped it also logs them."""

    def __init__(self, skip: bool) -> None:
        self.count = 0
        self._skip = skip
        self._logged = 0
        self._first: list[Fault] = []

    def add(self, fault: Fault) -> None:
        self.count += 1
        insort(self._first, fault)
        del self._first[LISTED_FAULTS:]
        if not self._skip or self._logged > LOGGED_FAULTS:
            return
        self._logged += 1
        if self._logged > LOGGED_FAULTS:
            log.warning("further skipped rows are not named")
        else:
            log.warning("row skipped", row=fault.row, line=fault.line, reason=fault.reason)

    @property
    def too_many(self) -> bool:
        return not self._skip and self.count >= LISTED_FAULTS

    @property
    def first(self) -> tuple[Fault, ...]:
        return tuple(self._first)


def import_register(
    conn: psycopg.Connection,
    table: RegisterTable,
    rows: Iterable[Entry | Fault],
    *,
    skip_bad: bool = False,
) -> ImportReport:
    """Register the rows of a file in one transaction; those registered already stay as they are.

    A row that differs from what is registered under its id, or from a row before it, is bad.

    Args:
        conn: Connection in autocommit mode.
        table: What the rows are.
        rows: In the order of the file; an error that it raises leaves the register as it was.
        skip_bad: Whether to register the other rows when some are bad.
    """
    faults = _Faults(skip_bad)
    total = added = differing = 0
    stored = False
    with conn.transaction():
        total, good = _copy(conn, table, rows, faults)
        if not faults.too_many:
            added = _merge(conn, table)
            differing = _find_differing(conn, table, faults)
        if faults.count and not skip_bad:
            raise psycopg.Rollback
        stored = True
    return ImportReport(
        rows=total,
        added=added if stored else 0,
        already_registered=good - added - differing if stored else 0,
        bad=faults.count,
        faults=faults.first,
        stored=stored,
    )


def _copy(
    conn: psycopg.Connection, table: RegisterTable, rows: Iterable[Entry | Fault], faults: _Faults
) -> tuple[int, int]:
    """Copy the sound rows aside; return how many rows there were, and how many sound ones."""
    conn.execute(
        _sql(
            table,
            "CREATE TEMPORARY TABLE arriving"
            " (import_row bigint NOT NULL, import_line bigint NOT NULL, LIKE {table})"
            " ON COMMIT DROP",
        )
    )
    total = good = 0
    command = _sql(table, "COPY arriving (import_row, import_line, {columns}) FROM STDIN")
    with conn.cursor() as cursor, cursor.copy(command) as copy:
        for row in rows:
            total += 1
            if isinstance(row, Entry):
                good += 1
                copy.write_row((row.row, row.line, *row.values))
                continue
            faults.add(row)
            if faults.too_many:
                break
    return total, good


def _merge(conn: psycopg.Connection, table: RegisterTable) -> int:
    """Register what is new, of several rows of an id the first; return how many were."""
    # Without it the planner takes the temporary table for a small one.
    conn.execute("ANALYZE arriving")
    # Ballots are decided meanwhile; only others who register wait, instead of deadlocking.
    conn.execute(_sql(table, "LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE"))
    return conn.execute(
        _sql(
            table,
            "INSERT INTO {table} ({columns}) SELECT {columns} FROM arriving"
            " ORDER BY {id}, import_row ON CONFLICT ({id}) DO NOTHING",
        )
    ).rowcount


def _find_differing(conn: psycopg.Connection, table: RegisterTable, faults: _Faults) -> int:
    """Find the rows that say something else than the register does now; return how many."""
    found = conn.execute(
        _sql(
            table,
            "SELECT arriving.import_row, arriving.import_line, arriving.{id},"
            " array_remove(ARRAY[{differences}], NULL), count(*) OVER ()"
            " FROM arriving JOIN {table} AS registered USING ({id})"
            " WHERE ({arriving}) IS DISTINCT FROM ({registered})"
            " ORDER BY import_row LIMIT %s",
        ),
        (LOGGED_FAULTS + 1,),
    ).fetchall()
    if not found:
        return 0
    same = conn.execute(
        _sql(
            table,
            "SELECT DISTINCT ON ({id}) {id}, import_row, import_line"
            " FROM arriving JOIN {table} AS registered USING ({id})"
            " WHERE {id} = ANY(%s) AND ({arriving}) IS NOT DISTINCT FROM ({registered})"
            " ORDER BY {id}, import_row",
        ),
        ([of_id for _, _, of_id, _, _ in found],),
    )
    first = {of_id: (row, line) for of_id, row, line in same}
    for row, line, of_id, columns, _ in found:
        earlier_row, earlier_line = first.get(of_id, (row, line))
        other = (
            f"row {earlier_row} (line {earlier_line})"
            if earlier_row < row
            else "what is registered"
        )
        faults.add(Fault(row, line, f"{of_id!r} differs from {other} in {', '.join(columns)}"))
    count: int = found[0][4]
    faults.count += count - len(found)
    return count


def _sql(table: RegisterTable, text: LiteralString) -> sql.Composed:
    """Fill the names of a table and its columns into a statement."""
    names = [sql.Identifier(column) for column in table.columns]

    def of(relation: str) -> sql.Composed:
        return sql.SQL(", ").join(sql.Identifier(relation, column) for column in table.columns)

    differences = sql.SQL(", ").join(
        sql.SQL("CASE WHEN arriving.{0} IS DISTINCT FROM registered.{0} THEN {1} END").format(
            name, sql.Literal(column)
        )
        for name, column in zip(names, table.columns, strict=True)
    )
    return sql.SQL(text).format(
        table=sql.Identifier(table.name),
        id=names[0],
        columns=sql.SQL(", ").join(names),
        arriving=of("arriving"),
        registered=of("registered"),
        differences=differences,
    )
