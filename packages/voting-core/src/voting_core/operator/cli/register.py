"""`voting import`."""

import os
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import attrs
import click
import typed_settings as ts

from voting_core.database import connect
from voting_core.database.migrations import check_schema
from voting_core.exceptions import InputError
from voting_core.operator.cli.base import COMMAND
from voting_core.operator.register_file import (
    CANDIDATES,
    VOTERS,
    Entry,
    Fault,
    FileFormat,
    RegisterLines,
    format_of,
    read_register,
)
from voting_core.operator.register_import import LISTED_FAULTS, ImportReport, import_register
from voting_core.service.logging import configure_logging
from voting_core.service.progress_bar import ProgressBar, show_progress
from voting_core.service.settings import DatabaseSettings, LogSettings, settings_options

__all__ = ["import_"]

_TABLES = {table.name: table for table in (CANDIDATES, VOTERS)}
_ROWS_BETWEEN_UPDATES = 1000


@attrs.frozen
class ImportSettings:
    """Where PostgreSQL is; Kafka is not needed."""

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
    help="How the file is laid out; by default its extension tells (.csv, .jsonl, .ndjson).",
)
@click.option(
    "--skip-bad",
    is_flag=True,
    help="Leave bad rows out and count them; by default one bad row stops the whole import.",
)
def import_(
    settings: ImportSettings, what: str, file: BinaryIO, format_name: str | None, skip_bad: bool
) -> None:
    """Load the register of candidates or voters from FILE, - for standard input.

    The columns are those of the table. Rows that are registered already with the same content may
    be there again.
    """
    table = _TABLES[what]
    file_format = FileFormat(format_name) if format_name else _told_format(file)
    configure_logging(settings.log, COMMAND)
    lines = RegisterLines(file)
    with (
        connect(settings.database, application="voting-import") as conn,
        show_progress("reading", what, _size(file)) as progress,
    ):
        check_schema(conn)
        rows = _watched(read_register(lines, table, file_format), lines, progress)
        try:
            report = import_register(conn, table, rows, skip_bad=skip_bad)
        except InputError as error:
            raise InputError(f"{file.name}: {error}") from error
    _conclude(file.name, what, report)


def _conclude(name: str, what: str, report: ImportReport) -> None:
    if not report.stored:
        for fault in report.faults:
            click.echo(f"{name}: {fault}", err=True)
        count = "1 row is" if report.bad == 1 else f"{report.bad:,} rows are"
        at_least = "at least " if report.bad >= LISTED_FAULTS else ""
        raise InputError(f"{name}: {at_least}{count} bad, so nothing was imported")
    if report.rows == report.bad:
        raise InputError(f"{name}: has no {'good ' if report.bad else ''}rows")
    skipped = f", {report.bad:,} skipped" if report.bad else ""
    click.echo(
        f"{report.rows:,} {what} read: {report.added:,} new,"
        f" {report.already_registered:,} already registered{skipped}"
    )


def _told_format(file: BinaryIO) -> FileFormat:
    if file.name == "<stdin>":
        raise InputError(f"standard input has no extension; say --format {' or '.join(FileFormat)}")
    return format_of(file.name)


def _size(file: BinaryIO) -> int | None:
    """Return the file's size in bytes; None for a pipe or a terminal."""
    try:
        return os.fstat(file.fileno()).st_size or None
    except OSError:
        return None


def _watched(
    rows: Iterable[Entry | Fault], lines: RegisterLines, progress: ProgressBar
) -> Iterator[Entry | Fault]:
    count = 0
    for count, row in enumerate(rows, start=1):
        yield row
        if count % _ROWS_BETWEEN_UPDATES == 0:
            progress.update(count, position=lines.bytes_read)
    progress.finish("storing", count)
