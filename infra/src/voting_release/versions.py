"""Version numbers and the ranges that have to contain them."""

import re
from collections.abc import Iterable, Mapping

import attrs
from packaging.requirements import Requirement
from packaging.version import Version

from voting_release.exceptions import ReleaseError

__all__ = ["BUMPS", "Exclusion", "excluded", "next_version"]

BUMPS = ("major", "minor", "patch")


def next_version(current: Version, bump: str) -> Version:
    """Return the version that a release gets.

    Args:
        current: The present version.
        bump: `major`, `minor`, `patch`, or the version itself as `X.Y.Z`.

    Raises:
        ReleaseError: It is none of these, or lies before the present version.
    """
    match BUMPS.index(bump) if bump in BUMPS else None:
        case 0:
            return Version(f"{current.major + 1}.0.0")
        case 1:
            return Version(f"{current.major}.{current.minor + 1}.0")
        case 2:
            return Version(f"{current.major}.{current.minor}.{current.micro + 1}")
    if re.fullmatch(r"\d+\.\d+\.\d+", bump) is None:
        raise ReleaseError(f"{bump!r} is none of {', '.join(BUMPS)} and no version like 1.2.3")
    if Version(bump) < current:
        raise ReleaseError(f"{bump} lies before the present version, {current}")
    return Version(bump)


@attrs.frozen
class Exclusion:
    """A package whose range leaves out the version of another one.

    Attributes:
        dependant: Whose range it is.
        requirement: The range as it is written, with the name of the package that it is about.
        version: The version that is left out.
    """

    dependant: str
    requirement: str
    version: Version

    def __str__(self) -> str:
        return (
            f"{self.dependant} needs {self.requirement}, which leaves out {self.version}: "
            "change the range in its pyproject.toml"
        )


def excluded(
    requirements: Mapping[str, Iterable[str]], versions: Mapping[str, Version]
) -> list[Exclusion]:
    """Find every range that leaves out the version of a sibling.

    Args:
        requirements: What each package needs.
        versions: The version of each package.
    """
    return [
        Exclusion(dependant, requirement, version)
        for dependant, needed in requirements.items()
        for requirement in needed
        if (version := versions.get(Requirement(requirement).name)) is not None
        and version not in Requirement(requirement).specifier
    ]
