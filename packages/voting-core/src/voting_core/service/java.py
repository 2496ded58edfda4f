"""Finding a Java runtime for Kafka and Spark."""

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import attrs

from voting_core.exceptions import JavaError

# Spark 4 and Kafka 4 require 17; Spark's Hadoop calls an API that Java 23 rejects (HADOOP-19212).
_VERSIONS = range(17, 23)

# Without it, each Java process leaves a directory for monitoring tools in the temporary directory.
QUIET_OPTIONS = ("-XX:-UsePerfData",)

_INSTALL = (
    "install Java 17 or 21"
    " (Debian: apt install openjdk-17-jre-headless; macOS: brew install openjdk@17)"
)
_VERSION = re.compile(r'^\S+ version "(?:1\.)?(\d+)', re.MULTILINE)


@attrs.frozen
class Java:
    """A Java runtime.

    Attributes:
        path: The `java` program.
        version: The feature release: 17 for 17.0.15, 8 for 1.8.0.
        build: The output of `java -version`, which distinguishes builds of one release.
    """

    path: Path
    version: int
    build: str


def parse_version(output: str) -> int | None:
    """Return the feature release in the standard error of `java -version`, or None.

    The format is that of JEP 223 (`"17.0.15"`, `"22-ea"`) or the older `"1.8.0_402"`. Lines such as
    `Picked up JAVA_TOOL_OPTIONS` may precede it.
    """
    match = _VERSION.search(output)
    return int(match.group(1)) if match else None


def find_java(environ: Mapping[str, str]) -> Java:
    """Return the Java of `JAVA_HOME`, or else that of `PATH`, as Spark chooses it.

    Raises:
        JavaError: Java is missing, does not run, or its version is not supported.
    """
    path, origin = _locate(environ)
    try:
        result = subprocess.run(
            [path, *QUIET_OPTIONS, "-version"],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
            env=dict(environ),
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise JavaError(f"{path} ({origin}) does not run: {error}; {_INSTALL}") from error
    version = parse_version(result.stderr)
    if result.returncode or version is None:
        found = " ".join(result.stderr.split())[:200] or f"exit status {result.returncode}"
        raise JavaError(f"{path} ({origin}) prints no version ({found}); {_INSTALL}")
    if version not in _VERSIONS:
        raise JavaError(f"{path} ({origin}) is Java {version}; {_INSTALL}")
    return Java(path, version, result.stderr)


def _locate(environ: Mapping[str, str]) -> tuple[Path, str]:
    if home := environ.get("JAVA_HOME"):
        path = Path(home, "bin", "java")
        if not path.is_file():
            raise JavaError(f"JAVA_HOME is {home}, which has no bin/java; {_INSTALL}")
        return path, "of JAVA_HOME"
    found = shutil.which("java", path=environ.get("PATH"))
    if found is None:
        raise JavaError(f"JAVA_HOME is not set and there is no java on PATH; {_INSTALL}")
    return Path(found), "of PATH"
