"""What the README prints works as printed."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.running.embedded import Embedded

README = Path(__file__).parents[2] / "README.md"


def test_the_walk_in_the_readme_ends_with_a_report(embedded: Embedded, tmp_path: Path) -> None:
    imported, users, started, report = _walked("walk", embedded, tmp_path)

    assert imported["imported"] == 1000
    assert users["meta"]["total"] == 1002
    assert started["data"]["status"] == "planned"
    assert report["data"]["users_deactivated"] > 300
    assert report["data"]["users_deactivated"] + report["data"]["active_users_remaining"] == 1002


def test_who_forgets_a_password_gets_a_new_one_by_the_mail(embedded: Embedded, tmp_path: Path) -> None:
    registered, asked, confirmed, signed_in = _walked("forgotten password", embedded, tmp_path)

    assert all(answer["success"] for answer in (registered, asked, confirmed))
    assert signed_in["data"]["user"]["email"] == "anna@example.com"


def _walked(name: str, embedded: Embedded, folder: Path) -> list[Any]:
    """Do what the README prints under a name, and return what it answers."""
    walk = _walk(name).replace("http://localhost:8000", embedded.gateway).replace(".venv/bin/python", sys.executable)
    printed = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", walk],
        cwd=folder,
        env={**os.environ, "STEWARD_DATA": str(folder / "embedded" / "data")},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    return [json.loads(line) for line in printed.replace("}{", "}\n{").splitlines()]


def _walk(name: str) -> str:
    found = re.search(rf"<!-- {name} -->\n```bash\n(.*?)```", README.read_text(), re.DOTALL)
    assert found, f"The README has a {name}."
    return found[1]
