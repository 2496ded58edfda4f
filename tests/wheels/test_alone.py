"""Each package installed by itself, from dist/ into an empty environment."""

import resource

import pytest
from environments import PACKAGES, Environment, make_environment, wheel

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


def test_it_brings_nothing_of_another_service(alone: tuple[str, Environment]) -> None:
    """Beside the package and voting-core there is no service, and no library of a service."""
    package, environment = alone
    environment.check()
    installed = environment.installed()
    assert set(PACKAGES) & set(installed) == {"voting-core", package}
    assert installed["voting-core"] == wheel("voting-core").name.split("-")[1]
    assert ALL_HEAVY & set(installed) == HEAVY[package]


def test_it_says_its_version(alone: tuple[str, Environment]) -> None:
    """`--version` is the version of the wheel."""
    package, environment = alone
    script = "voting" if package == "voting-core" else package
    done = environment.run(script, "--version")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{script}, version {environment.installed()[package]}\n"


def processor_seconds() -> float:
    """What all children that have ended took of the processors."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def test_it_explains_itself(alone: tuple[str, Environment]) -> None:
    """`--help` answers; that of the consumer, which is restarted most, in under a second.

    Nothing is waited for meanwhile, so on an idle machine the processor's time is all that passes,
    and on a busy one it is still the program's own.
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
