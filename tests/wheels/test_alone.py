"""Each package installed by itself, from dist/ into an empty environment."""

import resource

import pytest

from wheels.environments import PACKAGES, Environment, make_environment, wheel

HEAVY = {
    "voting-core": set(),
    "voting-producer": {"httpx"},
    "voting-consumer": set(),
    "voting-stream": {"pyspark"},
    "voting-dashboard": {"streamlit", "matplotlib"},
}
ALL_HEAVY = set[str]().union(*HEAVY.values())
HELP_SECONDS = 1.0
HELP_RUNS = 5


@pytest.fixture(scope="module", params=PACKAGES)
def alone(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Environment]:
    """A package and the environment that only it was installed into."""
    package: str = request.param
    path = tmp_path_factory.mktemp(package) / "environment"
    return package, make_environment(path, [wheel(package)])


def test_a_package_installs_no_other_service(alone: tuple[str, Environment]) -> None:
    """Beside the package and voting-core no service is installed, and no library of one."""
    package, environment = alone
    environment.check()
    installed = environment.installed()
    assert set(PACKAGES) & set(installed) == {"voting-core", package}
    assert installed["voting-core"] == wheel("voting-core").name.split("-")[1]
    assert ALL_HEAVY & set(installed) == HEAVY[package]


def test_the_version_is_that_of_the_wheel(alone: tuple[str, Environment]) -> None:
    """`--version` prints it."""
    package, environment = alone
    script = "voting" if package == "voting-core" else package
    done = environment.run(script, "--version")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{script}, version {environment.installed()[package]}\n"


def processor_seconds() -> float:
    """The processor time of all child processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def test_help_is_printed_quickly(alone: tuple[str, Environment]) -> None:
    """`--help` works; that of the consumer, which is restarted most, in under a second.

    The processor time is measured, which other programs on a busy machine do not increase.
    """
    package, environment = alone
    script = "voting" if package == "voting-core" else package
    seconds = []
    for _ in range(HELP_RUNS):
        began = processor_seconds()
        done = environment.run(script, "--help")
        seconds.append(processor_seconds() - began)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(f"Usage: {script} ")
    if package == "voting-consumer":
        assert min(seconds) < HELP_SECONDS
