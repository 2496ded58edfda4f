"""The release of one package: changelog, version, commit, tag."""

import subprocess
import sys
from pathlib import Path

from packaging.version import Version

from voting_release.changes import fragment_types, problems_of_files
from voting_release.exceptions import ReleaseError
from voting_release.git import Git
from voting_release.projects import Project, choose_project, read_projects, write_version
from voting_release.versions import excluded, next_version

__all__ = ["release"]


def release(root: Path, package: str, bump: str) -> str:
    """Release a package from a clean checkout. Nothing is pushed.

    Args:
        root: The top of the checkout.
        package: Which package.
        bump: `major`, `minor`, `patch` or a version.

    Returns:
        What to do next.

    Raises:
        ReleaseError: It is refused; the checkout is as before.
    """
    git = Git(root)
    projects = read_projects(root)
    project = choose_project(projects, package)
    version = next_version(project.version, bump)
    tag = project.tag(version)
    if git.is_dirty():
        raise ReleaseError("something is not committed: commit or stash it (git status shows it)")
    if git.has_tag(tag):
        raise ReleaseError(f"the tag {tag} exists already: {version} has been released")
    # Neither range nor name is mended by a release, whichever package it is of.
    versions = {each.name: each.version for each in projects.values()} | {package: version}
    requirements = {each.name: each.requirements for each in projects.values()}
    problems = [
        *map(str, excluded(requirements, versions)),
        *problems_of_files([project], fragment_types(root)),
    ]
    if problems:
        raise ReleaseError("\n".join(problems))
    if version != project.version:
        _commit_release(root, git, project, version)
    elif project.fragments:
        raise ReleaseError(
            f"the changelog has a section for {version} already, and there are news fragments: "
            "choose a later version"
        )
    git("tag", "--annotate", f"--message={package} {version}", tag)
    return f"{tag} is tagged; publish it with: git push --follow-tags"


def _commit_release(root: Path, git: Git, project: Project, version: Version) -> None:
    if not project.fragments:
        raise ReleaseError(
            f"{project.name} has no news fragments in {project.folder.relative_to(root)}/changes: "
            "there is nothing to release"
        )
    folder = str(project.folder)
    try:
        _build_changelog(root, project, version)
        write_version(project.folder / "pyproject.toml", version)
        git("add", "--all", "--", folder)
        git("commit", f"--message=Release {project.name} {version}")
    except BaseException:
        # Everything was committed before, so this takes back no more than was done here.
        git("restore", "--source=HEAD", "--staged", "--worktree", "--", folder)
        raise


def _build_changelog(root: Path, project: Project, version: Version) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "towncrier", "build", "--yes"),
            *("--config", root / "towncrier.toml", "--dir", project.folder),
            *("--name", project.name, "--version", str(version)),
        ],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ReleaseError(f"towncrier: {' '.join(done.stderr.split())}")
