"""What the packages' own files say of them."""

import re
import tomllib
from pathlib import Path
from typing import Any

import attrs
import tomlkit
from packaging.version import Version

from voting_release.exceptions import ReleaseError

__all__ = ["Project", "choose_project", "read_projects", "write_version"]


@attrs.frozen
class Project:
    """A package as it lies in the tree.

    Attributes:
        folder: Where.
        table: The table `[project]` of its pyproject.toml.
        released: The versions that its changelog has a section for.
        fragments: The names of its news fragments.
    """

    folder: Path
    table: dict[str, Any]
    released: frozenset[Version]
    fragments: tuple[str, ...]

    @property
    def name(self) -> str:
        """The distribution's name."""
        return str(self.table["name"])

    @property
    def version(self) -> Version:
        """The present version."""
        return Version(self.table["version"])

    @property
    def requirements(self) -> list[str]:
        """What it needs, as it is written."""
        return list(self.table.get("dependencies", []))

    def tag(self, version: Version | str) -> str:
        """Return the name of a release's tag."""
        return f"{self.name}-v{version}"


def read_projects(root: Path) -> dict[str, Project]:
    """Read every package of a source tree, by name."""
    projects = (_read_project(file.parent) for file in root.glob("packages/*/pyproject.toml"))
    return {project.name: project for project in sorted(projects, key=lambda each: each.name)}


def choose_project(projects: dict[str, Project], name: str) -> Project:
    """Return the package of a name.

    Raises:
        ReleaseError: There is none.
    """
    if name not in projects:
        raise ReleaseError(f"no package is called {name!r}; there is {', '.join(projects)}")
    return projects[name]


def _read_project(folder: Path) -> Project:
    text = (folder / "pyproject.toml").read_text(encoding="utf-8")
    changelog = (folder / "CHANGELOG.md").read_text(encoding="utf-8")
    return Project(
        folder=folder,
        table=tomllib.loads(text)["project"],
        released=frozenset(map(Version, re.findall(r"^## (\d+\.\d+\.\d+)\b", changelog, re.M))),
        fragments=tuple(sorted(file.name for file in folder.glob("changes/[!.]*"))),
    )


def write_version(pyproject: Path, version: Version) -> None:
    """Put another version into a pyproject.toml and leave the rest of it as it is."""
    document: Any = tomlkit.parse(pyproject.read_text(encoding="utf-8"))
    document["project"]["version"] = str(version)
    pyproject.write_text(tomlkit.dumps(document), encoding="utf-8")
