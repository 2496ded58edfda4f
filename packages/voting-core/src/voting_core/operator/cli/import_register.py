"""`voting import`."""

import os
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import attrs
import click
import typed_settings as ts

from voting_core.database import check_schema, connect
from voting_core.database.election import require_election
from voting_core.exceptions import InputError
from voting_core.operator.cli.base import COMMAND
from voting_core.operator.register_import import (
    CANDIDATES,
    LISTED_BAD_ROWS,
    VOTERS,
    BadRow,
    FileFormat,
    ImportReport,
    RegisterLines,
    RegisterRow,
    format_by_extension,
    import_register,
    read_register,
)
from voting_core.service.logging import configure_logging
from voting_core.service.progress_bar import ProgressBar, show_progress
from voting_core.service.settings import DatabaseSettings, LogSettings, settings_options

_TABLES = {table.name: table for table in (CANDIDATES, VOTERS)}
_ROWS_BETWEEN_UPDATES = 1000


@attrs.frozen
class ImportSettings:
    """How to connect to PostgreSQL; Kafka is not needed."""

    database: DatabaseSettings = ts.option(factory=DatabaseSettings)
    log: LogSettings = ts.option(factory=LogSettings)


@click.command("import")
@settings_options(ImportSettings, COMMAND)
@click.argument("what", type=click.Choice(tuple(_TABLES)))
@click.argument("file", type=click.File("rb"))
@click.option(
    "--format",
    "format_name",
    type=click.Choice([f.value for f in FileFormat]),
    help="Format of the file; by default that of its extension (.csv, .jsonl, .ndjson).",
)
@click.option(
    "--skip-bad",
    is_flag=True,
    help="Skip and count bad rows; by default a bad row cancels the whole import.",
)
def import_(
    settings: ImportSettings, what: str, file: BinaryIO, format_name: str | None, skip_bad: bool
) -> None:
    """Load the register of candidates or voters from FILE, - for standard input.

    The columns are those of the table. Rows that are already registered with the same content are
    allowed.
    """
    table = _TABLES[what]
    file_format = FileFormat(format_name) if format_name else _default_format(file)
    configure_logging(settings.log, COMMAND)
    lines = RegisterLines(file)
    with (
        connect(settings.database, application="voting-import") as conn,
        show_progress("reading", what, _size(file)) as progress,
    ):
        check_schema(conn)
        require_election(conn)
        rows = _with_progress(read_register(lines, table, file_format), lines, progress)
        try:
            report = import_register(conn, table, rows, skip_bad=skip_bad)
        except InputError as error:
            raise InputError(f"{file.name}: {error}") from error
    _print_report(file.name, what, report)


def _print_report(name: str, what: str, report: ImportReport) -> None:
    if not report.stored:
        for bad in report.bad_rows:
            click.echo(f"{name}: {bad}", err=True)
        count = "1 row is" if report.bad == 1 else f"{report.bad:,} rows are"
        at_least = "at least " if report.bad >= LISTED_BAD_ROWS else ""
        raise InputError(f"{name}: {at_least}{count} bad, so nothing was imported")
    if report.rows == report.bad:
        raise InputError(f"{name}: has no {'good ' if report.bad else ''}rows")
    skipped = f", {report.bad:,} skipped" if report.bad else ""
    click.echo(
        f"{report.rows:,} {what} read: {report.added:,} new,"
        f" {report.already_registered:,} already registered{skipped}"
    )


def _default_format(file: BinaryIO) -> FileFormat:
    if file.name == "<stdin>":
        raise InputError(f"standard input has no extension; use --format {' or '.join(FileFormat)}")
    return format_by_extension(file.name)


def _size(file: BinaryIO) -> int | None:
    """Return the file's size in bytes; None for a pipe or a terminal."""
    try:
        return os.fstat(file.fileno()).st_size or None
    except OSError:
        return None


def _with_progress(
    rows: Iterable[RegisterRow | BadRow], lines: RegisterLines, progress: ProgressBar
) -> Iterator[RegisterRow | BadRow]:
    count = 0
    for count, row in enumerate(rows, start=1):
        yield row
        if count % _ROWS_BETWEEN_UPDATES == 0:
            progress.update(count, position=lines.bytes_read)
    progress.finish("storing", count)
