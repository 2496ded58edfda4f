"""`voting verify`."""

import re
from pathlib import Path

import click

from voting_core.operator.results.verify import verify_bundle


def _digest(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    digest = value.strip().lower()
    if not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise click.BadParameter("expected 64 hexadecimal digits")
    return digest


@click.command()
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--manifest-sha256", callback=_digest, help="SHA-256 of manifest.json as it was published."
)
def verify(directory: Path, manifest_sha256: str | None) -> int:
    """Recount a results bundle and check all its bytes; needs neither Kafka nor PostgreSQL.

    Prints every defect with its file and line, and exits with code 1 if there are any.
    """
    found = verify_bundle(directory, manifest_sha256)
    for defect in found.defects:
        click.echo(str(defect), err=True)
    if found.defects or found.manifest is None:
        return 1
    counts = found.manifest.counts
    click.echo(
        f"{directory}: sound; {found.manifest.status}, {counts.votes:,} votes recounted, "
        f"one vote per voter"
    )
    if manifest_sha256 is None:
        click.echo(
            f"SHA-256 of manifest.json: {found.manifest_sha256}\n"
            "Compare it with the published digest: a consistent forgery of the whole bundle "
            "cannot be detected otherwise."
        )
    return 0
