"""Loading the rows of a register file into PostgreSQL, all or none of them.

The rows are copied into a temporary table and merged from there, in one transaction, so that the
size of a file is limited only by the disk.
"""

from bisect import insort
from collections.abc import Iterable
from typing import LiteralString

import attrs
import psycopg
import structlog
from psycopg import sql

from voting_core.operator.register_import.file import BadRow, RegisterRow
from voting_core.operator.register_import.table import RegisterTable

LISTED_BAD_ROWS = 20
"""Maximum number of bad rows in the report; if none are skipped, this number ends the import."""

LOGGED_BAD_ROWS = 100
"""Maximum number of skipped rows in the log."""

log = structlog.get_logger()


@attrs.frozen
class ImportReport:
    """The result of an import.

    Attributes:
        rows: Number of rows read: all of them, unless the import ended early.
        already_registered: Number of rows that equal a registered or an earlier row.
        bad_rows: The first bad rows, in order.
        stored: Whether the good rows were registered.
    """

    rows: int
    added: int
    already_registered: int
    bad: int
    bad_rows: tuple[BadRow, ...]
    stored: bool


class _BadRows:
    """Counts bad rows, keeps the first ones, and logs those that are skipped."""

    def __init__(self, skip: bool) -> None:
        self.count = 0
        self.first: list[BadRow] = []
        self._skip = skip
        self._logged = 0

    def add(self, bad: BadRow) -> None:
        self.count += 1
        insort(self.first, bad)
        del self.first[LISTED_BAD_ROWS:]
        if not self._skip or self._logged > LOGGED_BAD_ROWS:
            return
        self._logged += 1
        if self._logged > LOGGED_BAD_ROWS:
            log.warning("further skipped rows are not named")
        else:
            log.warning("row skipped", row=bad.row, line=bad.line, reason=bad.reason)

    @property
    def too_many(self) -> bool:
        return not self._skip and self.count >= LISTED_BAD_ROWS


def import_register(
    conn: psycopg.Connection,
    table: RegisterTable,
    rows: Iterable[RegisterRow | BadRow],
    *,
    skip_bad: bool = False,
) -> ImportReport:
    """Register the rows of a file in one transaction; registered rows stay unchanged.

    A row that differs from the registered row or an earlier row with its id is bad. Bad rows cancel
    the import unless they are skipped. An error raised by `rows` rolls the transaction back.
    """
    bad_rows = _BadRows(skip_bad)
    total = added = differing = 0
    stored = False
    with conn.transaction():
        total, good = _copy(conn, table, rows, bad_rows)
        if not bad_rows.too_many:
            added = _merge(conn, table)
            differing = _find_differing(conn, table, bad_rows)
        if bad_rows.count and not skip_bad:
            raise psycopg.Rollback
        stored = True
    return ImportReport(
        rows=total,
        added=added if stored else 0,
        already_registered=good - added - differing if stored else 0,
        bad=bad_rows.count,
        bad_rows=tuple(bad_rows.first),
        stored=stored,
    )


def _copy(
    conn: psycopg.Connection,
    table: RegisterTable,
    rows: Iterable[RegisterRow | BadRow],
    bad_rows: _BadRows,
) -> tuple[int, int]:
    """Copy the good rows into a temporary table; return the numbers of rows and of good rows."""
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
            if isinstance(row, RegisterRow):
                good += 1
                copy.write_row((row.row, row.line, *row.values))
                continue
            bad_rows.add(row)
            if bad_rows.too_many:
                break
    return total, good


def _merge(conn: psycopg.Connection, table: RegisterTable) -> int:
    """Register the first row of each new id; return the number of new rows."""
    # Without statistics, the planner assumes that a temporary table is small.
    conn.execute("ANALYZE arriving")
    # Prevents deadlocks between imports; decisions on ballots only read, and do not wait.
    conn.execute(_sql(table, "LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE"))
    return conn.execute(
        _sql(
            table,
            "INSERT INTO {table} ({columns}) SELECT {columns} FROM arriving"
            " ORDER BY {id}, import_row ON CONFLICT ({id}) DO NOTHING",
        )
    ).rowcount


def _find_differing(conn: psycopg.Connection, table: RegisterTable, bad_rows: _BadRows) -> int:
    """Add the rows that differ from the register to the bad ones; return their number."""
    found = conn.execute(
        _sql(
            table,
            "SELECT arriving.import_row, arriving.import_line, arriving.{id},"
            " array_remove(ARRAY[{differences}], NULL), count(*) OVER ()"
            " FROM arriving JOIN {table} AS registered USING ({id})"
            " WHERE ({arriving}) IS DISTINCT FROM ({registered})"
            " ORDER BY import_row LIMIT %s",
        ),
        (LOGGED_BAD_ROWS + 1,),
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
            else "the registered row"
        )
        reason = f"{of_id!r} differs from {other} in {', '.join(columns)}"
        bad_rows.add(BadRow(row, line, reason))
    count: int = found[0][4]
    bad_rows.count += count - len(found)
    return count


def _sql(table: RegisterTable, text: LiteralString) -> sql.Composed:
    """Return a statement with the names of a table and its columns inserted."""
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
