"""`voting status` names the cause of every kind of stall within half a minute."""

import time
from collections.abc import Iterator

import pytest

from chaos.stall_bench import StallBench, open_bench
from chaos.stalls import STALLS
from testkit.waiting import eventually
from voting_infra.logs import new_log_directory

DETECTION_SECONDS = 30.0
RECOVERY_SECONDS = 120.0


@pytest.fixture(scope="module")
def bench() -> Iterator[StallBench]:
    """A pipeline on disks of its own, which counts ballots all the time."""
    with open_bench(new_log_directory()) as bench:
        yield bench


@pytest.fixture
def well(bench: StallBench) -> StallBench:
    """The pipeline, in good order."""
    eventually(lambda: bench.status().exit_code == 0, "status is well", timeout=RECOVERY_SECONDS)
    return bench


@pytest.mark.parametrize("kind", STALLS)
def test_the_cause_of_a_stall_is_named(well: StallBench, kind: str) -> None:
    """With the exit code of its severity; afterwards the pipeline goes on by itself."""
    stall = STALLS[kind]
    with stall.inject(well) as database_url:
        deadline = time.monotonic() + DETECTION_SECONDS
        while True:
            status = well.status(database_url)
            if stall.kinds & status.kinds and status.exit_code in stall.exit_codes:
                break
            assert time.monotonic() < deadline, f"exit code {status.exit_code}: {status.text}"
            time.sleep(0.5)
