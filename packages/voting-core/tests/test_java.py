"""Finding a Java."""

from pathlib import Path

import pytest

from voting_core.exceptions import JavaError
from voting_core.service.java import find_java, parse_version


@pytest.mark.parametrize(
    ("output", "version"),
    [
        ('openjdk version "17.0.15" 2025-04-15\nOpenJDK Runtime Environment', 17),
        ('java version "1.8.0_402"\nJava(TM) SE Runtime Environment', 8),
        ('openjdk version "22-ea" 2024-03-19', 22),
        ('openjdk version "21" 2023-09-19 LTS', 21),
        ('Picked up JAVA_TOOL_OPTIONS: -Dx="1"\nopenjdk version "11.0.2" 2019-01-15', 11),
        ("The operation couldn't be completed. Unable to locate a Java Runtime.", None),
        ("", None),
    ],
)
def test_parse_version(output: str, version: int | None) -> None:
    """The feature release is read from every form of the version line, and from no other line."""
    assert parse_version(output) == version


def fake_java(home: Path, script: str) -> Path:
    """Makes a JAVA_HOME whose java is a shell script."""
    program = home / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return home


def test_java_home_comes_before_path(tmp_path: Path) -> None:
    """With both set, JAVA_HOME decides."""
    home = fake_java(tmp_path / "home", """echo 'openjdk version "21.0.1"' >&2""")
    other = fake_java(tmp_path / "other", """echo 'openjdk version "17.0.1"' >&2""")
    found = find_java({"JAVA_HOME": str(home), "PATH": f"{other / 'bin'}:/usr/bin:/bin"})
    assert (found.path, found.version) == (home / "bin" / "java", 21)


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("""echo 'openjdk version "11.0.2"' >&2""", "is Java 11"),
        ("""echo 'openjdk version "25" 2025-09-16 LTS' >&2""", "is Java 25"),
        ("echo 'Unable to locate a Java Runtime.' >&2; exit 1", "Unable to locate"),
    ],
)
def test_unusable_java_is_refused(tmp_path: Path, script: str, says: str) -> None:
    """One line says what was found, where, and what to install."""
    home = fake_java(tmp_path / "home", script)
    with pytest.raises(JavaError) as caught:
        find_java({"JAVA_HOME": str(home), "PATH": "/usr/bin:/bin"})
    message = str(caught.value)
    assert says in message
    assert str(home) in message
    assert "install Java 17 or 21" in message
    assert "\n" not in message


@pytest.mark.parametrize("variable", ["JAVA_HOME", "PATH"])
def test_missing_java_is_refused(tmp_path: Path, variable: str) -> None:
    """Without any java the message names the variable that was looked at."""
    with pytest.raises(JavaError, match=rf"{variable}.*install Java 17"):
        find_java({variable: str(tmp_path)})
