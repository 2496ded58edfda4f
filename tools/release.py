"""Release a package: `nox -s release -- voting-consumer minor`.

Poetry sets the version and towncrier writes the changelog; this tool checks that both may, commits
and tags. It works on the source tree in the working directory.
"""

import re
import sys

import click
from changes import (
    Package,
    ReleaseError,
    check_checkout,
    fragment_problems,
    git,
    range_problems,
    read_packages,
    run,
    towncrier,
)
from packaging.version import Version


def release(name: str, bump: str) -> str:
    """Release a package from a clean checkout and return the tag. Nothing is pushed.

    Args:
        name: The package.
        bump: `major`, `minor`, `patch` or a version `X.Y.Z`.

    Raises:
        ReleaseError: The release is refused; the checkout is as before.
    """
    check_checkout()
    packages = read_packages()
    if name not in packages:
        raise ReleaseError(f"no package is called {name!r}; there is {', '.join(packages)}")
    if re.fullmatch(r"major|minor|patch|\d+\.\d+\.\d+", bump) is None:
        raise ReleaseError(f"{bump!r} is none of major, minor, patch and no version like 1.2.3")
    if git("status", "--porcelain"):
        raise ReleaseError("something is not committed: commit or stash it (git status shows it)")
    before = packages[name]
    try:
        version = set_version(before, bump)
        after = read_packages()[name]
        tag = f"{name}-v{version}"
        check_release(before, after, tag)
        if version != before.version:
            towncrier(after, "--yes", f"--version={version}")
            git("add", "--all", "--", str(after.folder))
            git("commit", f"--message=Release {name} {version}")
    except BaseException:
        # The checkout was clean, so this reverts only the changes made here.
        git("restore", "--source=HEAD", "--staged", "--worktree", "--", str(before.folder))
        raise
    git("tag", "--annotate", f"--message={name} {version}", tag)
    return tag


def set_version(package: Package, bump: str) -> Version:
    """Write the next version into a package's pyproject.toml and return it."""
    poetry = (sys.executable, "-m", "poetry", "version", "--short")
    return Version(run("poetry version", *poetry, f"--directory={package.folder}", bump))


def check_release(before: Package, after: Package, tag: str) -> None:
    """Check that a package may be released with the version that it has now.

    Args:
        before: The package before the release.
        after: The package with the version of the release.
        tag: The tag of the release.

    Raises:
        ReleaseError: It may not.
    """
    if after.version < before.version:
        raise ReleaseError(f"{after.version} lies before the present version, {before.version}")
    if git("tag", "--list", tag):
        raise ReleaseError(f"the tag {tag} exists already: {after.version} has been released")
    if problems := range_problems(read_packages().values()) + fragment_problems(after):
        raise ReleaseError("\n".join(problems))
    if after.version != before.version:
        if not after.fragments:
            raise ReleaseError(
                f"{after.name} has no news fragments in {after.folder}/changes: "
                "there is nothing to release"
            )
    elif not after.has_changelog_section(after.version):
        raise ReleaseError(f"{after.name}: CHANGELOG.md has no section for {after.version}")
    elif after.fragments:
        raise ReleaseError(
            f"the changelog has a section for {after.version} already, and there are news "
            "fragments: choose a later version"
        )


@click.command(no_args_is_help=True)
@click.argument("package")
@click.argument("version", metavar="major|minor|patch|X.Y.Z")
def main(package: str, version: str) -> None:
    """Release a PACKAGE: changelog, version, commit and tag.

    The first release of a package has the version that it has in the tree already.
    """
    try:
        tag = release(package, version)
    except ReleaseError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{tag} is tagged; publish it with: git push --follow-tags")


if __name__ == "__main__":
    main(prog_name="nox -s release --")
