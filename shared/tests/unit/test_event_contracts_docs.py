"""The commands of the package and what they leave behind."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from event_contracts import published
from event_contracts.__main__ import main


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_generated_pages_are_not_stale(tmp_path: Path) -> None:
    out = str(tmp_path / "events")
    assert run("docs", "--out", out).exit_code == 0
    assert run("docs", "--check", "--out", out).exit_code == 0


def test_a_missing_page_is_stale_and_the_check_says_what_to_run(tmp_path: Path) -> None:
    result = run("docs", "--check", "--out", str(tmp_path))
    assert result.exit_code == 1
    assert "catalogue.md, asyncapi.json" in result.output
    assert f"Run: python -m event_contracts docs --out {tmp_path.as_posix()}" in result.output


def test_an_edited_page_is_stale_and_checking_leaves_it_alone(tmp_path: Path) -> None:
    run("docs", "--out", str(tmp_path))
    page = tmp_path / "catalogue.md"
    page.write_text("Something else.")
    assert run("docs", "--check", "--out", str(tmp_path)).exit_code == 1
    assert page.read_text() == "Something else."


def test_a_breach_is_told_and_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published, "current_checksums", dict)
    result = run("publish")
    assert result.exit_code == 1
    assert "was published" in result.output


def test_help_names_the_commands() -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert "docs" in result.output
    assert "publish" in result.output
