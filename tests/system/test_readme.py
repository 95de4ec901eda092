"""What the README prints works as printed."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.running.embedded import Embedded

README = Path(__file__).parents[2] / "README.md"


def test_the_walk_in_the_readme_ends_with_a_report(embedded: Embedded, tmp_path: Path) -> None:
    walk = _walk().replace("http://localhost:8000", embedded.gateway).replace(".venv/bin/python", sys.executable)

    printed = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", walk],
        cwd=tmp_path,
        env={**os.environ, "STEWARD_DATA": str(tmp_path / "embedded" / "data")},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout

    answers = [json.loads(line) for line in printed.replace("}{", "}\n{").splitlines()]
    imported, users, started, report = answers
    assert imported["imported"] == 1000
    assert users["meta"]["total"] == 1002
    assert started["data"]["status"] == "planned"
    assert report["data"]["users_deactivated"] > 300
    assert report["data"]["users_deactivated"] + report["data"]["active_users_remaining"] == 1002


def _walk() -> str:
    found = re.search(r"<!-- walk -->\n```bash\n(.*?)```", README.read_text(), re.DOTALL)
    assert found, "The README has a walk."
    return found[1]
