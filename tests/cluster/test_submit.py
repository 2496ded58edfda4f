"""The stream as a program run by spark-submit, as on a cluster."""

import subprocess
import sys
from pathlib import Path

from testkit.election import QUICK_JAVA, Election
from testkit.paths import SCRIPTS
from voting_stream.settings import StreamSettings

PROGRAM = "from voting_stream.cli import main\nmain()\n"


def test_spark_submit_decides_on_the_master(election: Election, tmp_path: Path) -> None:
    """Under spark-submit the stream runs on its master, with the connector of its --packages."""
    program = tmp_path / "stream.py"
    program.write_text(PROGRAM)
    done = subprocess.run(
        [
            *(SCRIPTS / "spark-submit", "--master", "local[3]"),
            *("--driver-java-options", QUICK_JAVA),
            *("--packages", StreamSettings().kafka_package, program),
            *("run", "--trigger=available-now", f"--checkpoint={tmp_path / 'checkpoint'}"),
        ],
        env=election.environment() | {"PYSPARK_PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # spark-submit merges the program's standard error into its standard output.
    assert '"master": "local[3]"' in done.stdout
