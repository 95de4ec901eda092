"""The rules of publishing, on contracts made up for the purpose."""

from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import msgspec
import pytest

from event_contracts import Contract, Instant, published
from event_contracts.published import Breach, Field, field_breaches, fields, sample_breaches

NUMBER = Field("integer", required=True)
NOTE = Field("text | null", required=False)


class Everything(Contract, frozen=True, kw_only=True):
    id: UUID
    at: Instant
    count: int
    flag: bool
    choice: Literal["b", "a"]
    choices: tuple[Literal["b", "a"], ...]
    details: dict[str, Any]
    note: str | None = None


@pytest.fixture
def golden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for path in published.GOLDEN.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(published, "GOLDEN", tmp_path)
    monkeypatch.setattr(published, "CHECKSUMS", tmp_path / "SHA256SUMS")
    monkeypatch.setattr(published, "FIELDS", tmp_path / "fields.json")
    return tmp_path


def test_fields_are_told_in_words() -> None:
    assert {name: str(field) for name, field in fields(Everything).items()} == {
        "id": "required uuid",
        "at": "required datetime",
        "count": "required integer",
        "flag": "required boolean",
        "choice": 'required "a" | "b"',
        "choices": 'required list of ("a" | "b")',
        "details": "required object",
        "note": "optional text | null",
    }


def test_a_type_that_has_no_place_in_a_contract_is_not_told() -> None:
    class Careless(Contract, frozen=True, kw_only=True):
        anything: Any

    with pytest.raises(TypeError, match="no place in a contract"):
        fields(Careless)


def test_an_unchanged_contract_breaks_nothing() -> None:
    assert field_breaches({"a.b.v1": {"number": NUMBER}}, {"a.b.v1": {"number": NUMBER}}) == []


def test_a_new_optional_field_breaks_nothing() -> None:
    assert field_breaches({"a.b.v1": {"number": NUMBER}}, {"a.b.v1": {"number": NUMBER, "note": NOTE}}) == []


def test_a_new_contract_breaks_nothing() -> None:
    assert field_breaches({}, {"a.b.v1": {"number": NUMBER}}) == []


def test_a_new_required_field_is_a_breach() -> None:
    (breach,) = field_breaches({"a.b.v1": {"note": NOTE}}, {"a.b.v1": {"number": NUMBER, "note": NOTE}})
    assert "new field number is required" in breach


def test_a_vanished_field_is_a_breach() -> None:
    (breach,) = field_breaches({"a.b.v1": {"number": NUMBER, "note": NOTE}}, {"a.b.v1": {"number": NUMBER}})
    assert "field note has vanished" in breach


@pytest.mark.parametrize("changed", [Field("text", required=True), Field("integer", required=False)])
def test_a_changed_field_is_a_breach(changed: Field) -> None:
    (breach,) = field_breaches({"a.b.v1": {"number": NUMBER}}, {"a.b.v1": {"number": changed}})
    assert f"was required integer and is {changed}" in breach


def test_a_vanished_contract_is_a_breach() -> None:
    assert field_breaches({"a.b.v1": {"number": NUMBER}}, {}) != []


@pytest.mark.parametrize("current", [{}, {"a.b.v1.json": "other"}])
def test_an_edited_or_removed_sample_is_a_breach_that_says_why(current: dict[str, str]) -> None:
    (breach,) = sample_breaches({"a.b.v1.json": "this"}, current)
    assert breach.startswith("a.b.v1.json was published")
    assert "restore it" in breach


def test_publishing_records_a_further_sample(golden: Path) -> None:
    further = golden / "user.watermark.v1.2.json"
    further.write_bytes((golden / "user.watermark.v1.json").read_bytes())
    published.publish()
    assert further.name in published.recorded_checksums()


def test_publishing_again_changes_nothing(golden: Path) -> None:
    before = {path.name: path.read_bytes() for path in golden.iterdir()}
    published.publish()
    assert {path.name: path.read_bytes() for path in golden.iterdir()} == before


def test_publishing_does_not_accept_an_edited_sample(golden: Path) -> None:
    before = published.recorded_checksums()
    (golden / "user.watermark.v1.json").write_text("{}")
    with pytest.raises(Breach, match=r"user\.watermark\.v1\.json was published"):
        published.publish()
    assert published.recorded_checksums() == before


def test_publishing_does_not_accept_a_changed_contract(golden: Path) -> None:
    recorded = published.recorded_fields()
    recorded["user.watermark.v1"]["seq"] = NUMBER
    (golden / "fields.json").write_bytes(msgspec.json.encode(recorded))
    with pytest.raises(Breach, match="field seq has vanished"):
        published.publish()
