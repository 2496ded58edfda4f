"""The command `python -m voting_release`, which `nox -s release` calls."""

from pathlib import Path

import click

from voting_release.exceptions import ReleaseError
from voting_release.release import release


@click.command(no_args_is_help=True)
@click.argument("package")
@click.argument("version", metavar="major|minor|patch|X.Y.Z")
def command(package: str, version: str) -> None:
    """Release a PACKAGE: changelog, version, commit and tag.

    The first release of a package has the version that it has in the tree already.
    """
    try:
        click.echo(release(Path.cwd(), package, version))
    except ReleaseError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    command(prog_name="nox -s release --")
