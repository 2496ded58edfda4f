# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "nox[uv]==2026.10.20",
#   "poetry==2.5.1",
#   "poetry-plugin-export==1.10.1",
#   "poetry-plugin-pypi-mirror==0.6.5",
# ]
# ///
"""Everything that is done to this repository: `nox` runs what must pass, `nox -l` lists the rest.

Nox reads the block above and runs this file with exactly these tools, Poetry among them. What a
session installs is what the project's `poetry.lock` says.
"""

import hashlib
import inspect
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import nox
from poetry.repositories.pypi_repository import PyPiRepository

nox.needs_version = ">=2025.10"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.error_on_external_run = True
nox.options.reuse_venv = "yes"

ROOT = Path(__file__).parent
SERVICES = ("voting-producer", "voting-consumer", "voting-stream", "voting-dashboard")
PACKAGES = ("voting-core", *SERVICES)
PROJECTS = (*PACKAGES, "infra")
SOURCES = ("packages", "infra", "tests", "benchmarks", "noxfile.py")

# Tests of real servers wait more than they compute, and some take minutes: each worker has a stack
# of its own and is given one test at a time.
PARALLEL = ("--numprocesses=2", "--maxschedchunk=1")

# Ctrl-C reaches the session's program as well as Nox: it gets the time to stop its children.
STOP_SECONDS = 60.0


def folder(project: str) -> Path:
    """Return a project's folder."""
    return ROOT / "infra" if project == "infra" else ROOT / "packages" / project


def run_poetry(session: nox.Session, *args: str, env: dict[str, str] | None = None) -> None:
    """Run the Poetry that came with this file's own tools."""
    session.run_install(sys.executable, "-m", "poetry", *args, env=env, external=True, silent=True)


def constraints(session: nox.Session, project: str) -> Path:
    """Return the versions of a project's lock file as pip constraints; exported when it changed."""
    lock = folder(project) / "poetry.lock"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()[:16]
    exported = ROOT / ".nox" / ".constraints" / f"{project}-{digest}.txt"
    if not exported.exists():
        exported.parent.mkdir(parents=True, exist_ok=True)
        partial = exported.with_suffix(".part")
        run_poetry(
            session,
            *("export", f"--directory={folder(project)}", "--all-groups", "--without-hashes"),
            *("--format=constraints.txt", f"--output={partial}"),
        )
        partial.replace(exported)
    return exported


RELEASE_TOOLS = ("attrs", "click", "packaging", "tomlkit", "towncrier")
TEST_TOOLS = {
    "voting-core": ("pytest", "hypothesis", "jsonschema"),
    "voting-producer": ("pytest", "hypothesis"),
    "infra": (
        *("pytest", "pytest-xdist", "hypothesis", "jsonschema", "playwright", "psutil"),
        "uv",
        *RELEASE_TOOLS,
    ),
}


def test_tools(project: str) -> tuple[str, ...]:
    """Return what a project's tests need beside the project."""
    return TEST_TOOLS.get(project, ("pytest",))


def install(session: nox.Session, project: str, *tools: str) -> None:
    """Install a project, its siblings and tools, all in the versions of its lock file.

    Args:
        session: Where to.
        project: Whose lock file decides.
        tools: More requirements, without versions.
    """
    siblings: Sequence[str] = {
        "voting-core": ["voting-core"],
        "infra": [*PACKAGES, "infra"],
    }.get(project, ["voting-core", project])
    editable = [arg for sibling in siblings for arg in ("-e", str(folder(sibling)))]
    session.install("-c", str(constraints(session, project)), *editable, *tools)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and formatting."""
    session.install("-c", str(constraints(session, "infra")), "ruff")
    session.run("ruff", "check", *SOURCES)
    session.run("ruff", "format", "--check", *SOURCES)


@nox.session
def types(session: nox.Session) -> None:
    """Check types, strictly, over everything."""
    stubs = ("types-docker", "types-jsonschema", "types-psutil")
    install(session, "infra", "mypy", "nox", *stubs, *test_tools("infra"))
    for sources in ([str(folder(p) / "src") for p in PROJECTS], ["tests"], ["noxfile.py"]):
        session.run("mypy", *sources)
    for project in PROJECTS:
        session.run("mypy", str(folder(project) / "tests"))


def run_release_tool(session: nox.Session, module: str, *args: str) -> None:
    """Run a module of `voting_release`, which needs none of what it releases."""
    pinned = ("-c", str(constraints(session, "infra")))
    session.install(*pinned, "--no-deps", "-e", str(folder("infra")))
    session.install(*pinned, *RELEASE_TOOLS)
    session.run("python", "-m", module, *args)


@nox.session
def changes(session: nox.Session) -> None:
    """Check that changes have news fragments and that each range has room for its sibling."""
    run_release_tool(session, "voting_release.changes")


@nox.session(default=False)
def release(session: nox.Session) -> None:
    """Release a package: `nox -s release -- voting-consumer minor` (or major, patch, 1.2.3)."""
    run_release_tool(session, "voting_release", *session.posargs)


@nox.session(tags=["unit"])
@nox.parametrize("project", [nox.param(p, id=p, tags=[p]) for p in PROJECTS])
def unit(session: nox.Session, project: str) -> None:
    """Test a package alone, with what its own lock file says."""
    install(session, project, *test_tools(project))
    parallel = PARALLEL if project == "infra" else ()
    session.run("pytest", *parallel, str(folder(project) / "tests"), *session.posargs)


def run_tests(session: nox.Session, folder: str, *options: str, **env: str) -> None:
    """Run tests of the whole, with what the lock file of everything together says."""
    install(session, "infra", *test_tools("infra"))
    session.run("pytest", *options, folder, *session.posargs, env=env)


@nox.session
def integration(session: nox.Session) -> None:
    """Test the whole pipeline on real Kafka, PostgreSQL, Spark and browser."""
    run_tests(session, "tests", *PARALLEL)


@nox.session(default=False)
def wheels(session: nox.Session) -> None:
    """Build the wheels and test them: alone, together, and in a whole election."""
    build_packages(session)
    pinned = str(constraints(session, "infra"))
    run_tests(session, "tests/wheels", VOTING_TEST_CONSTRAINTS=pinned)


@nox.session(default=False)
def cluster(session: nox.Session) -> None:
    """Test what is past one machine: an election on a cluster that loses parts, its measurement."""
    run_tests(session, "tests/cluster")


@nox.session(default=False)
def compose(session: nox.Session) -> None:
    """Test the whole system in containers, as `docker compose` brings it up."""
    run_tests(session, "tests/compose")


def run_election(session: nox.Session, module: str) -> None:
    """Run a module that starts processes of its own, and let it stop them when interrupted."""
    install(session, "infra")
    session.run(
        *("python", "-m", module, *session.posargs),
        env={"PYTHONPATH": os.pathsep.join((str(ROOT / "tests"), str(ROOT / "benchmarks")))},
        interrupt_timeout=STOP_SECONDS,
        terminate_timeout=STOP_SECONDS,
    )


@nox.session(default=False)
def demo(session: nox.Session) -> None:
    """Count a whole election on real parts; `nox -s demo -- --help` lists the options."""
    run_election(session, "voting_infra.demo")


@nox.session(default=False)
def chaos(session: nox.Session) -> None:
    """Kill everything in turn under load and look for lost votes; `-- --help` lists the options."""
    run_election(session, "chaos")


@nox.session(default=False)
def scaling(session: nox.Session) -> None:
    """Measure votes a second with more and more services; `-- --help` lists the options."""
    run_election(session, "scaling")


@nox.session(default=False)
def images(session: nox.Session) -> None:
    """Build the images of Kafka, PostgreSQL and the services, or those named after `--`."""
    install(session, "infra")
    session.run("python", ".ci/images", *session.posargs)


@nox.session(default=False)
def build(session: nox.Session) -> None:
    """Build a wheel and a source distribution of each package into dist/."""
    build_packages(session)


def build_packages(session: nox.Session) -> None:
    """Fill dist/ anew."""
    shutil.rmtree(ROOT / "dist", ignore_errors=True)
    for package in PACKAGES:
        run_poetry(session, "build", f"--directory={folder(package)}", f"--output={ROOT / 'dist'}")


@nox.session(default=False, venv_backend="none")
def lock(session: nox.Session) -> None:
    """Write the lock files anew; `-- voting-core infra` only those, `-- --regenerate` upgrades."""
    chosen = [arg for arg in session.posargs if arg in PROJECTS] or PROJECTS
    options = [arg for arg in session.posargs if arg not in PROJECTS]
    # Poetry asks the index in a way of its own, which not every mirror answers; through the plugin
    # it asks as pip does. The lock file names neither.
    index = inspect.signature(PyPiRepository).parameters["url"].default
    env = {"POETRY_PYPI_MIRROR_URL": os.environ.get("POETRY_PYPI_MIRROR_URL", f"{index}simple/")}
    for project in chosen:
        run_poetry(session, "lock", f"--directory={folder(project)}", *options, env=env)
