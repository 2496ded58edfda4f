"""Version numbers and the ranges that have to contain them."""

import pytest
from packaging.version import Version

from voting_release.exceptions import ReleaseError
from voting_release.versions import excluded, next_version


@pytest.mark.parametrize(
    ("bump", "version"),
    [
        ("major", "2.0.0"),
        ("minor", "1.3.0"),
        ("patch", "1.2.4"),
        ("1.2.3", "1.2.3"),
        ("1.10.0", "1.10.0"),
    ],
)
def test_next_version(bump: str, version: str) -> None:
    """A word counts one place up and the later ones from 0; a number is taken as it is."""
    assert next_version(Version("1.2.3"), bump) == Version(version)


@pytest.mark.parametrize(
    ("bump", "message"),
    [
        ("huge", "none of major"),
        ("1.3", "none of major"),
        ("1.3.0rc1", "none"),
        ("1.2.2", "before"),
    ],
)
def test_what_is_no_next_version(bump: str, message: str) -> None:
    """Neither another word nor an earlier, shortened or preliminary version is one."""
    with pytest.raises(ReleaseError, match=message):
        next_version(Version("1.2.3"), bump)


@pytest.mark.parametrize(
    ("version", "fits"), [("0.1.0", True), ("0.1.9", True), ("0.2.0", False), ("0.0.9", False)]
)
def test_a_range_has_room_for_its_sibling_or_not(version: str, fits: bool) -> None:
    """Both ends of a range are looked at; what comes from elsewhere is not."""
    requirements = {"service": ["core[extra]>=0.1,<0.2", "other<1"], "core": ["other>2"]}
    found = excluded(requirements, {"service": Version("7.0.0"), "core": Version(version)})
    message = (
        f"service needs core[extra]>=0.1,<0.2, which leaves out {version}: "
        "change the range in its pyproject.toml"
    )
    assert [str(each) for each in found] == ([] if fits else [message])
