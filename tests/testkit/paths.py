"""Where the project's files and console scripts are."""

import os
import sys
from pathlib import Path

__all__ = ["ROOT", "SCRIPTS", "US_2020", "module_path"]

ROOT = Path(__file__).parents[2]

US_2020 = ROOT / "infra" / "data" / "us-president-2020-by-county.csv"
"""The 2020 US presidential election by county."""

SCRIPTS = Path(sys.executable).parent
"""The console scripts of this environment."""


def module_path() -> str:
    """Return a PYTHONPATH with `chaos`, `scaling` and the testkit before what is on it already."""
    folders = [str(ROOT / "tests"), str(ROOT / "benchmarks"), os.environ.get("PYTHONPATH")]
    return os.pathsep.join(filter(None, folders))
