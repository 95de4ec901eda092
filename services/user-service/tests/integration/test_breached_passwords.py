"""The look-up in a file of passwords that were seen in breaches."""

import hashlib
from pathlib import Path

import pytest

from service_chassis.errors import Unavailable
from service_chassis.settings import SettingsError
from user_service.persistence.breached_passwords import BreachedPasswords


def digest(password: str) -> str:
    return hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper()


def corpus(folder: Path, passwords: list[str], *, ending: str = "\r\n") -> Path:
    """Write a file as the downloader does."""
    path = folder / "pwned.txt"
    lines = sorted(f"{digest(password)}:{count}" for count, password in enumerate(passwords, 1))
    path.write_bytes(ending.join([*lines, ""]).encode())
    return path


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("size", [1, 2, 3, 10, 1_000])
def test_exactly_the_passwords_of_the_file_are_found(tmp_path: Path, size: int, ending: str) -> None:
    known = [f"password {number}" for number in range(size)]
    breached = BreachedPasswords(corpus(tmp_path, known, ending=ending))

    assert [password for password in known if password not in breached] == []
    assert [number for number in range(size) if f"other {number}" in breached] == []


def test_a_last_line_without_an_end_counts(tmp_path: Path) -> None:
    path = corpus(tmp_path, ["one", "two", "three"], ending="\n")
    path.write_bytes(path.read_bytes().rstrip())

    breached = BreachedPasswords(path)

    assert all(password in breached for password in ("one", "two", "three"))


def test_a_file_that_is_not_there_or_is_something_else_is_refused_at_the_start(tmp_path: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_text("password\n123456\n")

    for path in (tmp_path / "none.txt", other, tmp_path):
        with pytest.raises(SettingsError, match="BREACHED_PASSWORDS_FILE"):
            BreachedPasswords(path)


def test_what_cannot_be_checked_is_not_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    breached = BreachedPasswords(corpus(tmp_path, ["one"]))
    monkeypatch.setattr(breached, "_file", -1)

    with pytest.raises(Unavailable):
        assert "one" in breached
