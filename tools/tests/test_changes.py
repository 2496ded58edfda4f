"""The check that every change has a news fragment and every range fits."""

import subprocess
import sys
from pathlib import Path

import pytest
from release_tree import Tree, make_tree, run_git

TOOL = Path(__file__).parents[1] / "changes.py"


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """A source tree of two packages, of which `service` has been released, and a commit later."""
    tree = make_tree(tmp_path)
    tree.git("tag", "service-v0.1.0")
    tree.write("README.md", "Nothing that a package holds.\n")
    tree.commit()
    return tree


def check(root: Path) -> tuple[int, list[str]]:
    """Run the check; return its exit code and the problems."""
    done = subprocess.run(
        [sys.executable, TOOL],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == ""
    return done.returncode, done.stderr.splitlines()


def test_a_clean_tree_passes(tree: Tree) -> None:
    """A tree without changes since its releases passes without output."""
    assert check(tree.root) == (0, [])


@pytest.mark.parametrize("state", ["committed", "staged", "unstaged"])
def test_a_change_needs_a_fragment(tree: Tree, state: str) -> None:
    """A released package that changed is named, until it has a fragment; committed or not."""
    tree.write("packages/service/src/service.py", "x = 1\n")
    if state == "committed":
        tree.commit()
    elif state == "staged":
        tree.git("add", "--all")
    code, (line,) = check(tree.root)
    assert code == 1
    assert line.startswith("service has changed since service-v0.1.0: add packages/service/")
    tree.write("packages/service/changes/+x.added.md", "Has an x.\n")
    assert check(tree.root) == (0, [])


def test_a_new_file_is_a_change(tree: Tree) -> None:
    """A file that Git does not know yet counts as well."""
    tree.write("packages/service/src/more.py", "")
    code, (line,) = check(tree.root)
    assert (code, line.split()[0]) == (1, "service")


def test_another_dependency_is_a_change(tree: Tree) -> None:
    """What users get changes with the table `[project]`, and not with the others."""
    pyproject = tree.root / "packages/service/pyproject.toml"
    before = pyproject.read_text()
    pyproject.write_text(before + '[tool.poetry.group.test.dependencies]\npytest = "*"\n')
    assert check(tree.root) == (0, [])
    pyproject.write_text(before.replace("<0.2", "<0.3"))
    code, (line,) = check(tree.root)
    assert (code, line.split()[0]) == (1, "service")


def test_tests_and_prose_are_no_change(tree: Tree) -> None:
    """What is in no wheel needs no fragment."""
    tree.write("packages/service/tests/test_service.py", "")
    tree.write("packages/service/CHANGELOG.md", "# All changes\n\n## 0.1.0\n\n- First.\n")
    assert check(tree.root) == (0, [])


def test_a_package_without_a_release_needs_no_fragment(tree: Tree) -> None:
    """A package that was never released needs no fragment."""
    tree.write("packages/core/src/core.py", "x = 1\n")
    assert check(tree.root) == (0, [])


def test_the_last_release_counts(tree: Tree) -> None:
    """A change that a later release contains is in the changelog already."""
    tree.write("packages/service/src/service.py", "x = 1\n")
    tree.commit()
    tree.git("tag", "service-v0.1.1")
    assert check(tree.root) == (0, [])


def test_the_changelog_knows_the_present_version(tree: Tree) -> None:
    """A version that was raised by hand is found."""
    pyproject = tree.root / "packages/service/pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace("0.1.0", "0.1.1"))
    code, (line,) = check(tree.root)
    assert code == 1
    assert "service: CHANGELOG.md has no section for the present version, 0.1.1" in line


def test_a_range_that_leaves_out_the_sibling(tree: Tree) -> None:
    """The dependant and its range are named."""
    pyproject = tree.root / "packages/core/pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace("0.1.0", "0.2.0"))
    tree.write("packages/core/CHANGELOG.md", "# Changes\n\n## 0.2.0 - 2030-01-01\n\n- More.\n")
    code, (line,) = check(tree.root)
    assert code == 1
    assert line.startswith("service needs core>=0.1,<0.2, which leaves out 0.2.0")


@pytest.mark.parametrize(("version", "fits"), [("0.1.9", True), ("0.2.0", False), ("0.0.9", False)])
def test_both_ends_of_a_range_are_checked(tree: Tree, version: str, fits: bool) -> None:
    """An extra or a dependency from elsewhere changes nothing."""
    for name, old, new in (
        ("core", '"0.1.0"', f'"{version}"'),
        ("service", '"core>=0.1,<0.2"', '"core[extra]>=0.1,<0.2", "other<1"'),
    ):
        pyproject = tree.root / f"packages/{name}/pyproject.toml"
        pyproject.write_text(pyproject.read_text().replace(old, new))
    tree.write("packages/core/CHANGELOG.md", f"# Changes\n\n## {version}\n\n- First.\n")
    tree.write("packages/service/changes/+extra.added.md", "Needs an extra.\n")
    message = (
        f"service needs core[extra]>=0.1,<0.2, which leaves out {version}: "
        "change the range in its pyproject.toml"
    )
    assert check(tree.root) == ((0, []) if fits else (1, [message]))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("x.added.md", "Issue name 'x' does not match"),
        ("+x.md", "Invalid news fragment name: +x.md"),
        ("+x.new.md", "Invalid news fragment name: +x.new.md"),
        ("notes", "Invalid news fragment name: notes"),
    ],
)
def test_a_fragment_of_another_name(tree: Tree, name: str, reason: str) -> None:
    """A fragment that is no part of a changelog by its name, or of an unknown type, is named."""
    tree.write(f"packages/service/changes/{name}", "Has an x.\n")
    code, (line,) = check(tree.root)
    assert code == 1
    assert line.startswith(f"service: towncrier: {reason}")
    assert "call it changes/+NAME.TYPE.md" in line


def test_without_git_only_the_files_are_checked(
    tree: Tree, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """In an unpacked archive or a shallow checkout it prints what it could not check."""
    shallow = tmp_path_factory.mktemp("shallow") / "tree"
    run_git(tree.root, "clone", "--quiet", "--depth=1", tree.root.as_uri(), str(shallow))
    code, (line,) = check(shallow)
    assert code == 0
    assert line.startswith("not checked whether changes have news fragments: ")
    assert line.endswith("is a shallow checkout: git fetch --unshallow --tags")
    (shallow / ".git").rename(shallow / "was-git")
    pyproject = shallow / "packages/core/pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace("0.1.0", "0.1.1"))
    code, (first, second) = check(shallow)
    assert code == 1
    assert first.startswith("not checked whether changes have news fragments: git rev-parse")
    assert second.startswith("core: CHANGELOG.md has no section")
