# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "nox[uv]==2026.10.20",
#   "pip==26.3",
#   "poetry==2.5.1",
#   "poetry-plugin-export==1.10.1",
#   "poetry-plugin-pypi-mirror==0.6.5",
#   "towncrier==26.9.0",
# ]
# ///
"""Everything that is done to this repository: `nox` runs what must pass, `nox -l` lists the rest.

Nox reads the block above and runs this file with exactly these tools, Poetry and towncrier among
them. What a session installs is what the project's `poetry.lock` pins.
"""

import hashlib
import inspect
import os
import re
import shutil
import sys
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

TOOLS = nox.project.load_toml("noxfile.py")["dependencies"]
TEST_TOOLS = {
    "voting-core": ("pytest", "hypothesis", "jsonschema"),
    "voting-producer": ("pytest", "hypothesis"),
    "voting-consumer": ("pytest",),
    "voting-stream": ("pytest",),
    "voting-dashboard": ("pytest",),
    "infra": ("pytest", "pytest-xdist", "hypothesis", "jsonschema", "playwright", "uv"),
}
DOCS_TOOLS = ("mkdocs-material",)
STUBS = ("types-docker", "types-jsonschema", "types-psutil")

# Tests of real servers wait more than they compute, and some take minutes: each worker has a stack
# of its own and runs one test at a time.
PARALLEL = ("--numprocesses=2", "--maxschedchunk=1")

# Ctrl-C reaches the session's program as well as Nox: it gets this long to stop its children.
STOP_SECONDS = 60.0

MODULES = os.pathsep.join((str(ROOT / "tests"), str(ROOT / "benchmarks")))
COVERAGE = ROOT / ".nox" / ".coverage"


def folder(project: str) -> Path:
    """Return a project's folder, relative to the root, where every session runs."""
    return Path("packages", project) if project in PACKAGES else Path(project)


def run_poetry(session: nox.Session, *args: str, env: dict[str, str] | None = None) -> None:
    """Run the Poetry that comes with this file's own tools."""
    session.run_install(sys.executable, "-m", "poetry", *args, env=env, external=True, silent=True)


def constraints(session: nox.Session, project: str) -> Path:
    """Return the versions of a project's lock file as pip constraints; exported when it changes."""
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


def find_built_spark(session: nox.Session, pinned: Path) -> None:
    """Let the session's installers find a wheel of the pinned PySpark; it is built once.

    PySpark is published as source only. An installer that may not cache what it builds, because of
    the index, would build 1.3 GB for each session.
    """
    requirement = re.search(r"^pyspark==[^\s;]+", pinned.read_text(encoding="utf-8"), re.MULTILINE)
    if requirement is None:
        return
    built = ROOT / ".nox" / ".wheels" / requirement[0]
    if not built.exists():
        partial = built.with_suffix(".part")
        session.run_install(
            *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"),
            *(f"--wheel-dir={partial}", requirement[0]),
            external=True,
        )
        partial.replace(built)
    session.env["UV_FIND_LINKS"] = session.env["PIP_FIND_LINKS"] = str(built)


def install(session: nox.Session, project: str, *tools: str) -> None:
    """Install a project, its siblings and tools, all in the versions of its lock file.

    Args:
        session: Where to.
        project: Whose lock file decides.
        tools: More requirements, without versions.
    """
    siblings = {"voting-core": [], "infra": PACKAGES}.get(project, ["voting-core"])
    editable = [arg for each in (*siblings, project) for arg in ("-e", str(folder(each)))]
    pinned = constraints(session, project)
    find_built_spark(session, pinned)
    session.install("-c", str(pinned), *editable, *tools)


def install_tools(session: nox.Session, *tools: str) -> None:
    """Install tools that need no project, in the versions of the lock file of everything."""
    session.install("-c", str(constraints(session, "infra")), *tools)


def run_pytest(session: nox.Session, *args: str, **env: str) -> None:
    """Run tests and measure which lines they reach, also in the processes that they start."""
    install_tools(session, "coverage")
    data = COVERAGE / re.sub(r"\W+", "-", session.name).strip("-")
    shutil.rmtree(data, ignore_errors=True)
    env["COVERAGE_FILE"] = str(data / "data")
    session.run("coverage", "run", "-m", "pytest", *args, *session.posargs, env=env)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, formatting, and which module may import which."""
    install_tools(session, "ruff", "import-linter")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    sources = os.pathsep.join(str(folder(package) / "src") for package in PACKAGES)
    session.run("lint-imports", "--no-cache", env={"PYTHONPATH": sources})


@nox.session(default=False)
def format(session: nox.Session) -> None:
    """Correct style and formatting where Ruff can."""
    install_tools(session, "ruff")
    session.run("ruff", "check", "--fix")
    session.run("ruff", "format")


@nox.session
def types(session: nox.Session) -> None:
    """Check types, strictly, over everything."""
    session.install(*TOOLS)
    install(session, "infra", "mypy", *STUBS, *TEST_TOOLS["infra"], *DOCS_TOOLS)
    sources = [str(folder(project) / "src") for project in PROJECTS]
    tests = [str(folder(project) / "tests") for project in PROJECTS]
    session.run("mypy", "noxfile.py", *sources)
    # Modules of the same name, such as `conftest`, cannot be checked together.
    for scripts in (*tests, "tests", "benchmarks", "tools", ".ci/images", "docs/_hooks"):
        session.run("mypy", scripts)


@nox.session(venv_backend="none")
def changes(session: nox.Session) -> None:
    """Check that changes have news fragments and that each range includes its sibling."""
    session.run(sys.executable, "tools/changes.py", external=True)


@nox.session(default=False, venv_backend="none")
def release(session: nox.Session) -> None:
    """Release a package: `nox -s release -- voting-consumer minor` (or major, patch, 1.2.3)."""
    session.run(sys.executable, "tools/release.py", *session.posargs, external=True)


@nox.session(tags=["unit"])
@nox.parametrize("project", [nox.param(p, id=p, tags=[p]) for p in (*PROJECTS, "tools")])
def unit(session: nox.Session, project: str) -> None:
    """Test a package alone, in the versions of its own lock file."""
    tests = str(folder(project) / "tests")
    if project == "tools":
        session.install(*TOOLS)
        install_tools(session, "pytest")
        # Not measured: it would slow down Poetry, which these tests call, several times.
        session.run("pytest", tests, *session.posargs)
        return
    install(session, project, *TEST_TOOLS[project])
    run_pytest(session, *(PARALLEL if project == "infra" else ()), tests)


def peers_python(session: nox.Session, requirements: str) -> str:
    """Return the Python of an environment of other programs; it is made when its file changes.

    They need other versions than this project: its environment cannot have them as well.

    Args:
        session: Installs them.
        requirements: The name of a file in `benchmarks/peers`, with every version.
    """
    file = ROOT / "benchmarks" / "peers" / requirements
    digest = hashlib.sha256(file.read_bytes() + sys.version.encode()).hexdigest()[:16]
    environment = ROOT / ".nox" / ".peers" / f"{file.stem}-{digest}"
    if not environment.exists():
        partial = environment.with_suffix(".part")
        shutil.rmtree(partial, ignore_errors=True)
        # Relocatable, so that only a complete one has the name.
        uv = (sys.executable, "-m", "uv")
        session.run_install(
            *(*uv, "venv", "--quiet", "--relocatable", "--python", sys.executable, str(partial)),
            external=True,
        )
        session.run_install(
            *(*uv, "pip", "install", "--quiet", f"--python={partial}", "-r", str(file)),
            external=True,
        )
        partial.replace(environment)
    return str(environment / "bin" / "python")


def run_tests(session: nox.Session, *args: str, **env: str) -> None:
    """Run tests of the whole, in the versions of the lock file of everything."""
    install(session, "infra", *TEST_TOOLS["infra"])
    run_pytest(session, *args, **env)


@nox.session
def integration(session: nox.Session) -> None:
    """Test the whole pipeline on real Kafka, PostgreSQL, Spark and browser."""
    peers = peers_python(session, "requirements.txt")
    run_tests(session, *PARALLEL, "tests", "benchmarks", BENCH_PEERS=peers)


@nox.session
def coverage(session: nox.Session) -> None:
    """List the lines that the last test runs did not reach; fails if they are too many."""
    install_tools(session, "coverage")
    measured = sorted(map(str, COVERAGE.glob("*")))
    if not measured:
        session.error("nothing is measured yet: nox -s unit integration")
    session.run("coverage", "combine", "--keep", "--quiet", *measured)
    session.run("coverage", "report", "--show-missing")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the site of the documentation into site/ and check its links."""
    install(session, "infra", *DOCS_TOOLS)
    # Material advertises its successor in a long warning.
    env = {"NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": MODULES}
    session.run("mkdocs", "build", "--strict", *session.posargs, env=env)


def build_packages(session: nox.Session) -> None:
    """Build every package into dist/."""
    shutil.rmtree(ROOT / "dist", ignore_errors=True)
    for package in PACKAGES:
        # Poetry builds no wheel from a relative directory.
        run_poetry(
            session, "build", f"--directory={ROOT / folder(package)}", f"--output={ROOT / 'dist'}"
        )


@nox.session(default=False)
def build(session: nox.Session) -> None:
    """Build a wheel and a source distribution of each package into dist/."""
    build_packages(session)


@nox.session(default=False)
def wheels(session: nox.Session) -> None:
    """Build the wheels and test them: alone, together, and in a whole election."""
    build_packages(session)
    pinned = str(constraints(session, "infra"))
    run_tests(session, "tests/wheels", VOTING_TEST_CONSTRAINTS=pinned)


@nox.session(default=False)
def cluster(session: nox.Session) -> None:
    """Test an election on three brokers and a Spark cluster, parts of which fail."""
    run_tests(session, "tests/cluster")


@nox.session(default=False)
def compose(session: nox.Session) -> None:
    """Test the whole system in containers, as `docker compose` runs it."""
    run_tests(session, "tests/compose")


def run_module(session: nox.Session, module: str, *tools: str, **env: str) -> None:
    """Run a module that starts processes of its own, and let it stop them when interrupted."""
    install(session, "infra", *tools)
    session.run(
        *("python", "-m", module, *session.posargs),
        env={"PYTHONPATH": MODULES, **env},
        interrupt_timeout=STOP_SECONDS,
        terminate_timeout=STOP_SECONDS,
    )


@nox.session(default=False)
def demo(session: nox.Session) -> None:
    """Count a whole election on real servers; `nox -s demo -- --help` lists the options."""
    run_module(session, "voting_infra.demo")


@nox.session(default=False)
def chaos(session: nox.Session) -> None:
    """Kill everything in turn under load and check every vote; `-- --help` lists the options."""
    run_module(session, "chaos")


@nox.session(default=False)
def mutations(session: nox.Session) -> None:
    """Remove each rule from a copy and check that a test fails; `-- --help` lists the options."""
    run_module(session, "mutations", *TEST_TOOLS["infra"])


@nox.session(default=False)
def scaling(session: nox.Session) -> None:
    """Measure votes a second with more and more services; `-- --help` lists the options."""
    run_module(session, "scaling")


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Measure each stage beside peers and its limit; `-- --help` lists the options."""
    run_module(
        session,
        "bench",
        "playwright",
        BENCH_PEERS=peers_python(session, "requirements.txt"),
        BENCH_PATHWAY=peers_python(session, "requirements-pathway.txt"),
    )


@nox.session(default=False)
def images(session: nox.Session) -> None:
    """Build the images of Kafka, PostgreSQL and the services, or those named after `--`."""
    install(session, "infra")
    session.run("python", ".ci/images", *session.posargs)


@nox.session(default=False, venv_backend="none")
def lock(session: nox.Session) -> None:
    """Update the lock files; `-- voting-core infra` only those, `-- --regenerate` upgrades."""
    chosen = [arg for arg in session.posargs if arg in PROJECTS] or PROJECTS
    options = [arg for arg in session.posargs if arg not in PROJECTS]
    # Poetry queries the index through an API that not every mirror has; with the plugin it queries
    # as pip does. The lock file names neither.
    index = inspect.signature(PyPiRepository).parameters["url"].default
    env = {"POETRY_PYPI_MIRROR_URL": os.environ.get("POETRY_PYPI_MIRROR_URL", f"{index}simple/")}
    for project in chosen:
        run_poetry(session, "lock", f"--directory={folder(project)}", *options, env=env)
