"""A release, rehearsed on a throw-away clone of this repository."""

import datetime
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from release_tree import Tree, run_git

ROOT = Path(__file__).parents[2]
TOOL = ROOT / "tools" / "release.py"
CONSUMER = "packages/voting-consumer"
CORE = "packages/voting-core"


@pytest.fixture
def clone(tmp_path: Path) -> Tree:
    """A clone of this repository, as it is committed, without its tags and with fragments."""
    if not (ROOT / ".git").exists():
        pytest.skip("this source tree is no Git checkout, so there is nothing to clone")
    if run_git(ROOT, "rev-parse", "--is-shallow-repository") == "true":
        pytest.skip("this checkout is shallow, and no release is made from one: fetch its history")
    tree = Tree(tmp_path / "clone")
    run_git(tmp_path, "clone", "--quiet", "--no-tags", f"file://{ROOT}", str(tree.root))
    tree.git("config", "user.name", "A Developer")
    tree.git("config", "user.email", "developer@example.org")
    for package in (CONSUMER, CORE):
        for old in (tree.root / package / "changes").glob("*"):
            old.unlink()
    tree.write(f"{CONSUMER}/changes/+idle.added.md", "Can end when idle.\n")
    tree.write(f"{CONSUMER}/changes/12.fixed.md", "Closes its connection.\n")
    tree.write(f"{CORE}/changes/+import.added.md", "Imports a register.\n")
    tree.commit()
    return tree


def release(tree: Tree, *args: str) -> subprocess.CompletedProcess[str]:
    """Run what `nox -s release --` runs."""
    return subprocess.run(
        [sys.executable, TOOL, *args],
        cwd=tree.root,
        capture_output=True,
        text=True,
        check=False,
    )


def refusal(tree: Tree, *args: str) -> list[str]:
    """The lines of a release that must be refused and must leave everything as it was."""
    before = tree.git("status", "--porcelain"), tree.git("rev-parse", "HEAD"), tree.git("tag")
    done = release(tree, *args)
    assert done.returncode == 1, done.stdout + done.stderr
    after = tree.git("status", "--porcelain"), tree.git("rev-parse", "HEAD"), tree.git("tag")
    assert before == after
    return done.stderr.removeprefix("Error: ").splitlines()


def present_version(tree: Tree, package: str) -> str:
    """The version in a package's pyproject.toml."""
    text = (tree.root / package / "pyproject.toml").read_text()
    return str(tomllib.loads(text)["project"]["version"])


def next_minor(tree: Tree, package: str) -> str:
    """The version that a minor release has to get."""
    major, minor, _ = present_version(tree, package).split(".")
    return f"{major}.{int(minor) + 1}.0"


def test_a_release(clone: Tree) -> None:
    """Fragments become a section, the version goes up in one place, and a tag marks the commit."""
    pyproject = clone.root / CONSUMER / "pyproject.toml"
    before = pyproject.read_text()
    old, new = present_version(clone, CONSUMER), next_minor(clone, CONSUMER)
    changelog = (clone.root / CONSUMER / "CHANGELOG.md").read_text()
    day = {datetime.date.today().isoformat()}
    done = release(clone, "voting-consumer", "minor")
    day.add(datetime.date.today().isoformat())
    assert done.returncode == 0, done.stderr
    assert f"voting-consumer-v{new}" in done.stdout
    assert pyproject.read_text() == before.replace(f'version = "{old}"', f'version = "{new}"')
    start = "<!-- towncrier release notes start -->\n\n"
    head, rest = changelog.split(start)
    assert (clone.root / CONSUMER / "CHANGELOG.md").read_text() in {
        f"{head}{start}## {new} - {date}\n\n"
        "### Added\n\n- Can end when idle.\n\n"
        "### Fixed\n\n- Closes its connection. (#12)\n\n\n"
        f"{rest}"
        for date in day
    }
    assert clone.git("status", "--porcelain") == ""
    assert clone.git("show", "--no-patch", "--format=%s") == f"Release voting-consumer {new}"
    assert set(clone.git("show", "--name-only", "--format=").splitlines()) == {
        f"{CONSUMER}/CHANGELOG.md",
        f"{CONSUMER}/changes/+idle.added.md",
        f"{CONSUMER}/changes/12.fixed.md",
        f"{CONSUMER}/pyproject.toml",
    }
    tag = f"voting-consumer-v{new}"
    assert clone.git("cat-file", "-t", tag) == "tag"
    assert clone.git("rev-parse", f"{tag}^{{commit}}") == clone.git("rev-parse", "HEAD")
    (again,) = refusal(clone, "voting-consumer", "minor")
    assert "voting-consumer has no news fragments" in again
    (again,) = refusal(clone, "voting-consumer", new)
    assert f"the tag {tag} exists already" in again


def test_the_first_release_is_a_tag(clone: Tree) -> None:
    """The version in the tree has its section already: it is only tagged, without fragments."""
    version = present_version(clone, CORE)
    (line,) = refusal(clone, "voting-core", version)
    assert "there are news fragments: choose a later version" in line
    clone.git("rm", "--quiet", f"{CORE}/changes/+import.added.md")
    clone.commit()
    head = clone.git("rev-parse", "HEAD")
    done = release(clone, "voting-core", version)
    assert done.returncode == 0, done.stderr
    assert clone.git("rev-parse", f"voting-core-v{version}^{{commit}}") == head
    assert clone.git("rev-parse", "HEAD") == head


def test_a_core_that_its_dependants_could_not_use_is_refused(clone: Tree) -> None:
    """The message names every range to change; a release within them passes."""
    new = next_minor(clone, CORE)
    lines = refusal(clone, "voting-core", "minor")
    assert [line.split()[0] for line in lines] == [
        "voting-consumer",
        "voting-dashboard",
        "voting-producer",
        "voting-stream",
    ]
    for line in lines:
        assert "needs voting-core>=" in line
        assert line.endswith(f"which leaves out {new}: change the range in its pyproject.toml")
    done = release(clone, "voting-core", "patch")
    assert done.returncode == 0, done.stderr
    major, minor, patch = present_version(clone, CORE).split(".")
    assert clone.git("tag") == f"voting-core-v{major}.{minor}.{patch}"
    assert patch != "0"


def test_what_is_not_committed_is_not_released(clone: Tree) -> None:
    """Not even a new file may be open."""
    clone.write("notes.txt", "")
    (line,) = refusal(clone, "voting-consumer", "minor")
    assert "something is not committed" in line


def test_a_release_that_breaks_off_takes_itself_back(clone: Tree) -> None:
    """Where the commit fails nothing has changed, and the message is Git's."""
    hook = clone.root / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho not today >&2\nexit 1\n")
    hook.chmod(0o755)
    (line,) = refusal(clone, "voting-consumer", "minor")
    assert line == "git commit: not today"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("voting-nothing", "minor"), "no package is called 'voting-nothing'; there is voting-con"),
        (("voting-consumer", "huge"), "'huge' is none of major, minor, patch"),
        (("voting-consumer", "1.3"), "'1.3' is none of major, minor, patch"),
        (("voting-consumer", "1.3.0rc1"), "'1.3.0rc1' is none of major, minor, patch"),
        (("voting-consumer", "0.0.1"), "0.0.1 lies before the present version"),
        (("voting-stream", "minor"), "voting-stream has no news fragments"),
    ],
)
def test_what_cannot_be_released(clone: Tree, args: tuple[str, str], message: str) -> None:
    """A name or a version that does not fit, or no change to release, is one line."""
    for left in (clone.root / "packages/voting-stream/changes").glob("*"):
        left.unlink()
        clone.commit()
    (line,) = refusal(clone, *args)
    assert message in line


@pytest.mark.parametrize("args", [(), ("voting-consumer",), ("voting-consumer", "minor", "now")])
def test_a_wrong_call_shows_the_usage(tmp_path: Path, args: tuple[str, ...]) -> None:
    """The exit code is 2."""
    done = release(Tree(tmp_path), *args)
    assert done.returncode == 2
    assert "Usage: nox -s release -- [OPTIONS] PACKAGE major|minor|patch|X.Y.Z" in (
        done.stdout + done.stderr
    )
