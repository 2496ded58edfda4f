"""The built packages, and virtual environments with only them and their requirements."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import attrs
import pytest

ROOT = Path(__file__).parents[2]
UV = Path(sys.executable).with_name("uv")
SERVICES = ("voting-producer", "voting-consumer", "voting-stream", "voting-dashboard")
PACKAGES = ("voting-core", *SERVICES)


def built(pattern: str) -> Path:
    """The one file in dist/ of a pattern."""
    found = list((ROOT / "dist").glob(pattern))
    assert len(found) == 1, f"dist/ has {len(found)} {pattern}: run `nox -s wheels`, which builds"
    return found[0]


def wheel(package: str) -> Path:
    """A package's wheel."""
    return built(f"{package.replace('-', '_')}-*.whl")


def sdist(package: str) -> Path:
    """A package's source distribution."""
    return built(f"{package.replace('-', '_')}-*.tar.gz")


def outside_environment() -> dict[str, str]:
    """The environment variables, without those that refer to this checkout or are settings."""
    inside = ("VOTING_", "PYTHON", "VIRTUAL_ENV")
    return {key: value for key, value in os.environ.items() if not key.startswith(inside)}


@attrs.frozen
class Environment:
    """A virtual environment."""

    path: Path

    def script(self, name: str) -> Path:
        """A console script's path."""
        return self.path / "bin" / name

    def run(
        self,
        script: str,
        *args: str,
        cwd: Path | None = None,
        env: dict[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a console script to its end; by default in the environment's own folder."""
        return subprocess.run(
            [self.script(script), *args],
            cwd=cwd or self.path,
            env=env or outside_environment(),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def installed(self) -> dict[str, str]:
        """The version of every distribution in it, by name."""
        listed = _run_uv("pip", "list", "--format=json", f"--python={self.path}")
        return {each["name"]: each["version"] for each in json.loads(listed)}

    def check(self) -> None:
        """Fail unless every requirement is installed in a suitable version."""
        _run_uv("pip", "check", f"--python={self.path}")


def make_environment(path: Path, wheels: Sequence[Path]) -> Environment:
    """Make an environment and install wheels as a user does, siblings from dist/.

    Other requirements are installed in the versions that the checkout is tested with.
    """
    constraints = os.environ.get("VOTING_TEST_CONSTRAINTS")
    if constraints is None:
        pytest.fail("VOTING_TEST_CONSTRAINTS names no file: run `nox -s wheels`, which sets it")
    _run_uv("venv", f"--python={sys.executable}", str(path))
    _run_uv(
        *("pip", "install", f"--python={path}", f"--find-links={ROOT / 'dist'}"),
        *("--constraints", constraints, *map(str, wheels)),
    )
    return Environment(path)


def _run_uv(*args: str) -> str:
    done = subprocess.run(
        [UV, "--quiet", *args],
        env=outside_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
