"""A copy of the tree, and running tests on its sources."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

from testkit.paths import ROOT

__all__ = ["CopiedTree", "Outcome", "TestRunError", "copied_tree"]

TIMEOUT_SECONDS = 900.0
STOP_SECONDS = 60.0

_FOLDERS = ("packages", "infra", "tests", "benchmarks", "docs")
_IGNORED = shutil.ignore_patterns(".*", "__pycache__", "dist", "build")


class TestRunError(Exception):
    """pytest could not run the tests."""

    __test__ = False


@attrs.frozen
class Outcome:
    """The names of the tests that passed and of those that failed."""

    passed: tuple[str, ...]
    failed: tuple[str, ...]


@attrs.frozen
class CopiedTree:
    """A copy of the tree in a temporary folder."""

    root: Path

    def run_tests(self, tests: Iterable[str]) -> Outcome:
        """Run tests in the copy, on the sources of the copy.

        Args:
            tests: pytest node ids, relative to the root.

        Raises:
            TestRunError: A test cannot be collected or set up, or they do not end in time.
        """
        report = self.root / "report.xml"
        command = [
            *(sys.executable, "-m", "pytest", "--quiet", "-p", "no:cacheprovider"),
            *("--import-mode=importlib", f"--junitxml={report}", *tests),
        ]
        process = subprocess.Popen(
            command,
            cwd=self.root,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            output, _ = process.communicate(timeout=TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise TestRunError(f"not ended after {TIMEOUT_SECONDS:.0f} s") from error
        finally:
            _stop(process)
        if process.returncode not in (0, 1):
            raise TestRunError(output[-3000:])
        return _read_report(report)

    def _environment(self) -> dict[str, str]:
        sources = sorted((self.root / "packages").glob("*/src"))
        folders = (*sources, *(self.root / name for name in ("infra/src", "tests", "benchmarks")))
        # What is on PYTHONPATH takes precedence over what is installed.
        return os.environ | {
            "PYTHONPATH": os.pathsep.join(map(str, folders)),
            "PYTHONDONTWRITEBYTECODE": "1",
        }


@contextmanager
def copied_tree() -> Iterator[CopiedTree]:
    """Copy the sources and tests to a temporary folder, which is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="voting-mutations-") as folder:
        root = Path(folder)
        for name in _FOLDERS:
            shutil.copytree(ROOT / name, root / name, ignore=_IGNORED)
        for file in ROOT.glob("pyproject.toml"):
            shutil.copy(file, root)
        yield CopiedTree(root)


def _stop(process: subprocess.Popen[str]) -> None:
    """End pytest so that it can end the processes of its tests."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def _read_report(path: Path) -> Outcome:
    """Read a JUnit report.

    Raises:
        TestRunError: A test could not be set up, or there is none.
    """
    passed, failed = [], []
    for case in ET.parse(path).getroot().iter("testcase"):
        name = str(case.get("name"))
        if (error := case.find("error")) is not None:
            raise TestRunError(f"{name}: {error.get('message')}\n{(error.text or '')[-3000:]}")
        if case.find("failure") is not None:
            failed.append(name)
        elif case.find("skipped") is None:
            passed.append(name)
    if not passed and not failed:
        raise TestRunError("no test was run")
    return Outcome(tuple(passed), tuple(failed))
