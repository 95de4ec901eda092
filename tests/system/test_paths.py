"""How the paths of all services look from outside."""

import json
import re
from urllib.request import urlopen

from tests.running.steward import Steward

NAME = re.compile(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*\Z")
"""Words in lower case; job names and actions may have dashes in paths, members of bodies may not."""
MEMBER = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*\Z")
OUTSIDE = {"/livez", "/readyz", "/metrics", "/openapi.json", "/demo/mail"}


def test_everything_is_under_one_prefix_and_in_snake_case(system: Steward) -> None:
    """S4-36."""
    with urlopen(f"{system.gateway}/openapi.json") as answer:
        spec = json.load(answer)
    paths = set(spec["paths"]) - OUTSIDE
    segments = {part for path in paths for part in path.split("/") if part and not part.startswith("{")}
    members = {name for schema in spec["components"]["schemas"].values() for name in schema.get("properties", ())}

    assert len(paths) > 50
    assert {path for path in paths if not path.startswith("/api/v1/")} == set()
    assert {part for part in segments if not NAME.match(part)} == set()
    assert {name for name in members if not MEMBER.match(name)} == set()
