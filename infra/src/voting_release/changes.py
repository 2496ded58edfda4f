"""The check that every change has a news fragment and every range fits.

`python -m voting_release.changes`, which `nox -s changes` calls, exits with 1 if it finds anything.
"""

import re
import sys
import tomllib
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from voting_release.exceptions import ReleaseError
from voting_release.git import Git
from voting_release.projects import Project, read_projects
from voting_release.versions import excluded

__all__ = ["fragment_types", "problems_of_files", "problems_of_history"]


def fragment_types(root: Path) -> tuple[str, ...]:
    """Read the types of news fragments from the settings of towncrier."""
    settings = tomllib.loads((root / "towncrier.toml").read_text(encoding="utf-8"))
    return tuple(settings["tool"]["towncrier"]["fragment"])


def problems_of_files(projects: Collection[Project], types: Iterable[str]) -> list[str]:
    """Say what does not fit together in the files as they are.

    Args:
        projects: All packages.
        types: The types of news fragments.
    """
    types = tuple(types)
    well_named = re.compile(rf"(\+[\w-]+|\d+)\.({'|'.join(types)})(\.\d+)?\.md")
    requirements = {project.name: project.requirements for project in projects}
    versions = {project.name: project.version for project in projects}
    return [
        *map(str, excluded(requirements, versions)),
        *(
            f"{project.name}: CHANGELOG.md has no section for the present version, "
            f"{project.version}: let `nox -s release` set the version"
            for project in projects
            if project.version not in project.released
        ),
        *(
            f"{project.name}: the news fragment {name} is not called +NAME.TYPE.md, "
            f"TYPE being one of {', '.join(types)}"
            for project in projects
            for name in project.fragments
            if well_named.fullmatch(name) is None
        ),
    ]


def problems_of_history(projects: Iterable[Project], git: Git) -> list[str]:
    """Name the packages that have changed since their last release and do not say how.

    What counts is what goes into a wheel: the folder `src` and the table `[project]`, without the
    version. A package that has never been released has nobody to tell.
    """
    return [
        f"{project.name} has changed since {tag}: add packages/{project.folder.name}/"
        "changes/+NAME.TYPE.md, a line that tells its users (docs/releasing.md)"
        for project in projects
        if not project.fragments
        and (tag := git.latest_tag(project.tag("*"))) is not None
        and _has_changed(project, git, tag)
    ]


def _has_changed(project: Project, git: Git, tag: str) -> bool:
    before = tomllib.loads(git.show(tag, project.folder / "pyproject.toml"))["project"]
    return _without_version(before) != _without_version(project.table) or git.changed_since(
        tag, project.folder / "src"
    )


def _without_version(table: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if key != "version"}


def main() -> None:
    """Check the source tree in the working directory."""
    root = Path.cwd()
    projects = list(read_projects(root).values())
    problems = problems_of_files(projects, fragment_types(root))
    try:
        git = Git(root)
    except ReleaseError as error:
        print(f"not checked whether changes have news fragments: {error}", file=sys.stderr)
    else:
        problems += problems_of_history(projects, git)
    for problem in problems:
        print(problem, file=sys.stderr)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
