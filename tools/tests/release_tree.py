"""A small source tree of two packages under Git."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
IDENTITY = (
    *("-c", "user.name=A Developer", "-c", "user.email=developer@example.org"),
    *("-c", "commit.gpgSign=false", "-c", "tag.gpgSign=false"),
)


def run_git(root: Path, *args: str) -> str:
    """Run Git in a folder, independent of the user's settings, and return what it prints."""
    done = subprocess.run(
        ["git", "-C", root, *IDENTITY, *args], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@dataclass(frozen=True)
class Tree:
    """The source tree: a library `core`, and a `service` that needs `core>=0.1,<0.2`."""

    root: Path

    def write(self, file: str, text: str) -> None:
        """Write a file."""
        path = self.root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def git(self, *args: str) -> str:
        """Run Git."""
        return run_git(self.root, *args)

    def commit(self) -> None:
        """Commit everything."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message=change")


def make_tree(root: Path) -> Tree:
    """Make the tree and commit it."""
    tree = Tree(root)
    tree.git("init", "--quiet")
    tree.write("pyproject.toml", (ROOT / "pyproject.toml").read_text())
    for name, needs in (("core", ""), ("service", '"core>=0.1,<0.2"')):
        tree.write(
            f"packages/{name}/pyproject.toml",
            f'[project]\nname = "{name}"\nversion = "0.1.0"\ndependencies = [{needs}]\n',
        )
        tree.write(f"packages/{name}/CHANGELOG.md", "# Changes\n\n## 0.1.0\n\n- First.\n")
        tree.write(f"packages/{name}/src/{name}.py", "")
    tree.commit()
    return tree
