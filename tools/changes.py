"""Check that the packages can be released: `nox -s changes`.

The check works on the source tree in the working directory. It prints each problem on a line of its
own and exits with 1 if there is one.
"""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.version import Version


class ReleaseError(Exception):
    """A release is refused or has failed; each line of the message names one reason."""


def run(name: str, *command: str) -> str:
    """Return what a command prints.

    Args:
        name: What its errors start with.
        command: The program and its arguments.

    Raises:
        ReleaseError: It failed; the message contains its standard error.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        # towncrier writes its steps to standard error as well, before the error.
        error = " ".join(done.stderr.split()).rpartition("Error: ")[2]
        raise ReleaseError(f"{name}: {error}")
    return done.stdout.strip()


def git(*args: str) -> str:
    """Return what a Git command prints."""
    return run(f"git {args[0]}", "git", *args)


def towncrier(package: "Package", *args: str) -> None:
    """Build the changelog section of a package with the settings of the source tree."""
    folder = str(package.folder)
    build = (sys.executable, "-m", "towncrier", "build", "--config=pyproject.toml")
    run("towncrier", *build, f"--dir={folder}", f"--name={package.name}", *args)


@dataclass(frozen=True)
class Package:
    """A package of the source tree.

    Attributes:
        folder: Its folder, relative to the source tree.
        project: The table `[project]` of its pyproject.toml.
    """

    folder: Path
    project: dict[str, Any]

    @property
    def name(self) -> str:
        """The name of the distribution."""
        return str(self.project["name"])

    @property
    def version(self) -> Version:
        """The version in pyproject.toml."""
        return Version(self.project["version"])

    @property
    def fragments(self) -> list[Path]:
        """The news fragments."""
        return list(self.folder.glob("changes/[!.]*"))

    def has_changelog_section(self, version: Version) -> bool:
        """Return whether the changelog has a section for a version."""
        changelog = (self.folder / "CHANGELOG.md").read_text(encoding="utf-8")
        return re.search(rf"^## {re.escape(str(version))}(?![.\w])", changelog, re.M) is not None


def read_packages() -> dict[str, Package]:
    """Return every package of the source tree by name, in the order of their names."""
    files = sorted(Path().glob("packages/*/pyproject.toml"))
    packages = [Package(file.parent, read_project_table(file.read_text())) for file in files]
    return {package.name: package for package in packages}


def read_project_table(pyproject: str) -> dict[str, Any]:
    """Return the table `[project]` of the text of a pyproject.toml."""
    return dict(tomllib.loads(pyproject)["project"])


def check_checkout() -> None:
    """Check that the working directory is the top of a Git checkout with its whole history.

    Raises:
        ReleaseError: It is none, or a shallow one, in which tags may be missing.
    """
    if git("rev-parse", "--show-prefix"):
        raise ReleaseError(f"{Path.cwd()} is not the top of a Git checkout")
    if git("rev-parse", "--is-shallow-repository") == "true":
        raise ReleaseError(f"{Path.cwd()} is a shallow checkout: git fetch --unshallow --tags")


def range_problems(packages: Iterable[Package]) -> list[str]:
    """Name each version range that excludes the present version of a sibling."""
    versions = {package.name: package.version for package in packages}
    return [
        f"{package.name} needs {requirement}, which leaves out {version}: "
        "change the range in its pyproject.toml"
        for package in packages
        for requirement in package.project.get("dependencies", [])
        if (version := versions.get(Requirement(requirement).name)) is not None
        and version not in Requirement(requirement).specifier
    ]


def fragment_problems(package: Package) -> list[str]:
    """Return why towncrier cannot use the news fragments of a package."""
    try:
        towncrier(package, "--draft", "--version=next")
    except ReleaseError as error:
        return [f"{package.name}: {error}: call it changes/+NAME.TYPE.md (docs/releasing.md)"]
    return []


def changed_since(package: Package, tag: str) -> bool:
    """Return whether a package's wheel has changed, committed or not.

    The wheel consists of the folder `src` and the table `[project]`, whose version is not a change.
    """
    source = str(package.folder / "src")
    before = read_project_table(git("show", f"{tag}:{package.folder.as_posix()}/pyproject.toml"))
    return (
        before | {"version": None} != package.project | {"version": None}
        or git("diff", "--name-only", tag, "--", source) != ""
        or git("ls-files", "--others", "--exclude-standard", "--", source) != ""
    )


def history_problems(packages: Iterable[Package]) -> list[str]:
    """Name the packages that have changed since their last release without a news fragment.

    A package that has never been released needs none.
    """
    problems = []
    for package in packages:
        tags = f"{package.name}-v*"
        if package.fragments or not git("tag", "--list", tags, "--merged=HEAD"):
            continue
        tag = git("describe", "--tags", "--abbrev=0", f"--match={tags}")
        if changed_since(package, tag):
            problems.append(
                f"{package.name} has changed since {tag}: add "
                f"{package.folder.as_posix()}/changes/+NAME.TYPE.md (docs/releasing.md)"
            )
    return problems


def main() -> None:
    """Check the source tree in the working directory."""
    packages = list(read_packages().values())
    problems = range_problems(packages)
    for package in packages:
        if not package.has_changelog_section(package.version):
            problems.append(
                f"{package.name}: CHANGELOG.md has no section for the present version, "
                f"{package.version}: let `nox -s release` set the version"
            )
        if package.fragments:
            problems += fragment_problems(package)
    try:
        check_checkout()
    except ReleaseError as error:
        print(f"not checked whether changes have news fragments: {error}", file=sys.stderr)
    else:
        problems += history_problems(packages)
    for problem in problems:
        print(problem, file=sys.stderr)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
