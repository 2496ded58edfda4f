"""`voting status`."""

import json
import sys
import time

import click

from voting_core.exceptions import ExitCode
from voting_core.operator.cli.base import (
    COMMAND,
    OperatorSettings,
    json_option,
    output_console,
    watch_option,
)
from voting_core.operator.status import Diagnosis, Facts, diagnose, gather_facts
from voting_core.operator.status.report import status_json, status_tables
from voting_core.service.logging import configure_logging
from voting_core.service.settings import settings_options

WATCH_SECONDS = 5.0


@click.command()
@settings_options(OperatorSettings, COMMAND)
@json_option
@watch_option(WATCH_SECONDS)
def status(settings: OperatorSettings, as_json: bool, watch: float | None) -> int:
    """Show the state of each stage of the pipeline, and what is wrong.

    Shows the half that is reachable if Kafka or PostgreSQL is down. Exit code 0 if all is well, 1
    if the count is wrong, 2 if this is not one election, 3 if the pipeline is degraded or stuck;
    with --watch, that of the last time.
    """
    configure_logging(settings.log, COMMAND)
    code = ExitCode.OK
    try:
        while True:
            facts = gather_facts(settings.kafka, settings.database)
            diagnosis = diagnose(facts)
            code = diagnosis.exit_code
            _print(facts, diagnosis, as_json=as_json, watch=watch is not None)
            if watch is None:
                break
            time.sleep(watch)
    except KeyboardInterrupt:
        if watch is None:
            raise
    return code


def _print(facts: Facts, diagnosis: Diagnosis, *, as_json: bool, watch: bool) -> None:
    if as_json:
        found = status_json(facts, diagnosis)
        click.echo(json.dumps(found, indent=None if watch else 2, ensure_ascii=False))
    else:
        console = output_console()
        if watch:
            console.print(time.strftime("%H:%M:%S"))
        console.print(status_tables(facts, diagnosis))
    sys.stdout.flush()
    if diagnosis.exit_code is ExitCode.SETUP:
        click.echo(f"{COMMAND}: {diagnosis}", err=True)
