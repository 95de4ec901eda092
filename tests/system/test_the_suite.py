"""What the suite needs of itself to run in parallel."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
COLLECT = [sys.executable, "-m", "pytest", "--collect-only", "--quiet", "-p", "no:cacheprovider"]


def test_tests_have_the_same_ids_in_every_run() -> None:
    runs = [subprocess.Popen(COLLECT, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    first, second = ([line for line in run.communicate(timeout=90)[0].splitlines() if "::" in line] for run in runs)
    assert len(first) > 1_000
    assert first == second
