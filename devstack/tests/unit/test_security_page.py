"""The page that says which check is held by which test."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`([\w./-]+\.py)::(\w+)`", PAGE)
CHECKLIST = set(range(1, 29))


@pytest.mark.parametrize(("file", "test"), NAMED, ids=[test for _, test in NAMED])
def test_every_test_the_page_names_is_there(file: str, test: str) -> None:
    assert re.search(rf"^\s*def {test}\(", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)


def test_no_check_of_the_checklist_is_missing() -> None:
    held = {int(number) for number in re.findall(r"^\| (\d\d?)[ ,]", PAGE, re.MULTILINE)}
    set_aside = re.search(r"^- (\d\d), (\d\d) \(codes", PAGE, re.MULTILINE)

    assert set_aside is not None
    assert held | set(map(int, set_aside.groups())) >= CHECKLIST
    assert len(NAMED) > len(CHECKLIST)
