"""Finding a Java that is new enough."""

import stat
from pathlib import Path

import pytest

from voting_core.exceptions import JavaError
from voting_core.java import find_java, parse_version


@pytest.mark.parametrize(
    ("output", "version"),
    [
        ('openjdk version "17.0.15" 2025-04-15\nOpenJDK Runtime', 17),
        ('java version "1.8.0_402"', 8),
        ('openjdk version "22-ea" 2024-03-19', 22),
        ('Picked up JAVA_TOOL_OPTIONS: -Xmx1g\nopenjdk version "21" 2023-09-19', 21),
        ("not a java", None),
    ],
)
def test_reads_what_java_prints(output: str, version: int | None) -> None:
    """The feature release is found in the forms that Java prints it in."""
    assert parse_version(output) == version


def java_home(folder: Path, version: str) -> Path:
    """A JAVA_HOME whose java claims a version."""
    java = folder / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    java.chmod(java.stat().st_mode | stat.S_IXUSR)
    return folder


def test_takes_a_java_that_is_new_enough(tmp_path: Path) -> None:
    """Java 17 will do, and JAVA_HOME says which."""
    home = java_home(tmp_path, "17.0.1")
    found = find_java({"JAVA_HOME": str(home)})
    assert (found.path, found.version) == (home / "bin" / "java", 17)


def test_an_old_java_is_refused(tmp_path: Path) -> None:
    """The message says which version was found, and which is needed."""
    home = java_home(tmp_path, "11.0.2")
    with pytest.raises(JavaError, match=r"is Java 11; install a Java runtime >= 17"):
        find_java({"JAVA_HOME": str(home)})


def test_no_java_at_all_is_told(tmp_path: Path) -> None:
    """Without JAVA_HOME and without java on the path it says so."""
    with pytest.raises(JavaError, match="no java on PATH"):
        find_java({"PATH": str(tmp_path)})
