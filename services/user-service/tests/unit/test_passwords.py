import threading
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar, Literal

import bcrypt
import pytest
from argon2 import PasswordHasher
from hypothesis import given
from hypothesis import strategies as st

from user_service.model.passwords import HashingOverloaded, Passwords, is_known_hash

PASSWORD = "corréct horse"
LONG = "é" * 60
"""More than the 72 bytes bcrypt knows."""

# Made by Django 5.2 and bcrypt 5.0, at the lowest cost they allow.
PBKDF2 = "pbkdf2_sha256$1000$seasalt$GYPsLisEsszbHrPGSLZAUayJhTbiptdVv+vkyMFr7GY="
DJANGO_ARGON2 = "argon2$argon2id$v=19$m=64,t=1,p=8$c2Vhc2FsdDA$AVJeC0R5H4Iu3NQEYoCy0WIaD/BCOMDJFnFEVSblVHE"
DJANGO_BCRYPT_SHA256 = "bcrypt_sha256$$2b$04$nAXoDVnN6m5ghDwMA3Ikjud0yksWUM3hP.dAj1PSPIT9dyoRZ63ZS"
DJANGO_BCRYPT = "bcrypt$$2b$04$Ng.kKj56syZaO4PHZBgT9eyNG9QyuXMqUZrv0zx38T4f5aR71XLs6"
BCRYPT = "$2b$04$N4eLn7Ljg4tO9f0xJ4Rs/O.nX7fm5tgqLdentQoiRZoK/ovtBM1aK"
BCRYPT_OF_LONG = "$2b$04$7EBRlcK/VB0ULMOws7zg2eNGwwSRlq4CfUrEYFYvoLcv4gzMdgIES"
FOREIGN = {
    "pbkdf2_sha256": PBKDF2,
    "django argon2": DJANGO_ARGON2,
    "django bcrypt_sha256": DJANGO_BCRYPT_SHA256,
    "django bcrypt": DJANGO_BCRYPT,
    "bcrypt": BCRYPT,
}
foreign = pytest.mark.parametrize("stored", FOREIGN.values(), ids=FOREIGN.keys())

PASSWORDS = Passwords(memory_kib=8, passes=1)
OURS = PASSWORDS.hash(PASSWORD)


def test_a_password_matches_its_own_hash_and_no_other_does() -> None:
    assert PASSWORDS.matches(PASSWORD, OURS)
    assert not PASSWORDS.matches("battery staple", OURS)
    assert not PASSWORDS.is_outdated(OURS)


def test_no_two_hashes_are_alike() -> None:
    assert PASSWORDS.hash(PASSWORD) != OURS


@foreign
def test_a_hash_of_another_system_is_checked_as_that_system_would(stored: str) -> None:
    assert is_known_hash(stored)
    assert PASSWORDS.matches(PASSWORD, stored)
    assert not PASSWORDS.matches("battery staple", stored)


@foreign
def test_a_hash_of_another_system_is_to_be_made_anew(stored: str) -> None:
    """S4-37."""
    assert PASSWORDS.is_outdated(stored)


def test_a_hash_cheaper_than_today_is_to_be_made_anew() -> None:
    dearer = Passwords(memory_kib=16, passes=1)

    assert dearer.matches(PASSWORD, OURS)
    assert dearer.is_outdated(OURS)


def test_a_password_longer_than_bcrypt_knows_matches_as_where_the_hash_was_made() -> None:
    assert PASSWORDS.matches(LONG, BCRYPT_OF_LONG)


PREFIXES = [
    "",
    "$argon2id$v=19$",
    "$argon2",
    "argon2$",
    "pbkdf2_sha256$",
    "pbkdf2_sha256$10$salt$",
    "bcrypt$",
    "$2b$04$",
    "bcrypt_sha256$$2b$04$",
]


@given(st.sampled_from(PREFIXES), st.text(max_size=70))
def test_a_garbled_hash_matches_nothing_and_raises_nothing(prefix: str, rest: str) -> None:
    assert not PASSWORDS.matches(PASSWORD, prefix + rest)


@pytest.mark.parametrize("stored", ["", "plain", "md5$salt$digest", "sha1$salt$digest", "!unusable", "crypt$$ab"])
def test_a_hash_nobody_knows_matches_nothing(stored: str) -> None:
    assert not is_known_hash(stored)
    assert not PASSWORDS.matches(PASSWORD, stored)


@pytest.mark.parametrize("password", ["", "\x00", "a\x00b", "x" * 1000, "🐎"])
@foreign
def test_no_password_upsets_the_check(password: str, stored: str) -> None:
    assert not PASSWORDS.matches(password, stored)


def test_the_same_characters_match_however_a_keyboard_writes_them() -> None:
    composed, decomposed = "caf\u00e9 au lait", "cafe\u0301 au lait"

    assert PASSWORDS.matches(decomposed, PASSWORDS.hash(composed))
    assert PASSWORDS.matches(composed, PASSWORDS.hash(decomposed))


def test_a_hash_another_system_made_of_characters_as_they_came_matches() -> None:
    decomposed = "cafe\u0301 au lait"
    stored = bcrypt.hashpw(decomposed.encode(), bcrypt.gensalt(4)).decode()

    assert PASSWORDS.matches(decomposed, stored)


def test_no_character_of_a_long_password_is_cut_off() -> None:
    stored = PASSWORDS.hash("x" * 999 + "y")

    assert not PASSWORDS.matches("x" * 1000, stored)
    assert not PASSWORDS.matches("x" * 999, stored)


@pytest.mark.parametrize(
    "stored",
    [
        "pbkdf2_sha256$2000001$salt$hash",
        "$2b$15$" + "x" * 53,
        "bcrypt$$2b$31$" + "x" * 53,
        "bcrypt_sha256$$2b$20$" + "x" * 53,
        "$argon2id$v=19$m=262145,t=1,p=1$c2FsdA$aGFzaA",
        "argon2$argon2id$v=19$m=64,t=11,p=1$c2FsdA$aGFzaA",
        "pbkdf2_sha256$999999999999$salt$hash",
        "argon2$argon2id$v=19$m=64,t=1,p=17$c2FsdA$aGFzaA",
    ],
)
def test_a_hash_that_would_take_too_long_to_check_is_not_taken_over(stored: str) -> None:
    assert not is_known_hash(stored)


@pytest.mark.parametrize(
    "stored",
    [
        "pbkdf2_sha256$+99999999$salt$hash",
        "pbkdf2_sha256$2_000_000_000$salt$hash",
        "pbkdf2_sha256$ 99999999$m=8,t=1,p=1$hash",
        "pbkdf2_sha256$9999999999999$$2b$04$",
        "bcrypt$ $2b$04$" + "x" * 53,
        "$2b$1$" + "x" * 53,
        "$argon2id$v=19$m=64$c2FsdA$aGFzaA",
        "argon2$m=64,t=1,p=1$$argon2id$v=19$m=999999,t=99,p=1$c2FsdA$aGFzaA",
    ],
)
def test_a_hash_whose_cost_cannot_be_told_is_not_taken_over(stored: str) -> None:
    assert not is_known_hash(stored)


class Counting(PasswordHasher):
    """Counts what it has to verify."""

    verified: ClassVar[list[str]] = []

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002  # The library's name.
        self.verified.append(str(hash))
        return super().verify(hash, password)


@pytest.mark.parametrize(
    ("password", "forms"), [("wrong", 1), ("cafe\u0301 au lait", 2), ("nobody has this password", 1)]
)
def test_saying_no_for_nobody_is_the_same_work_as_for_somebody(password: str, forms: int) -> None:
    passwords = Passwords(memory_kib=8, passes=1, hasher=Counting)

    def work(stored: str | None) -> int:
        Counting.verified.clear()
        assert not passwords.matches(password, stored)
        return len(Counting.verified)

    assert work(OURS) == work(None) == forms


class Holding(PasswordHasher):
    """Checks nothing until it is let go."""

    begun = threading.Event()
    go = threading.Event()

    def verify(self, stored: str | bytes, password: str | bytes) -> bool:
        self.begun.set()
        self.go.wait(10)
        return super().verify(stored, password)


def test_who_finds_no_place_in_time_is_told_to_come_back() -> None:
    crowded = Passwords(memory_kib=8, passes=1, parallel=1, patience=0.05, hasher=Holding)
    with ThreadPoolExecutor() as others:
        first = others.submit(crowded.matches, PASSWORD, OURS)
        assert Holding.begun.wait(5)

        with pytest.raises(HashingOverloaded) as raised:
            crowded.matches(PASSWORD, OURS)

        # Who has a place is not told to come back, however long it takes.
        Holding.go.set()
        assert first.result(5)
    assert raised.value.retry_after is not None


@pytest.mark.parametrize("stored", [OURS, "garbled", None], ids=["ours", "garbled", "none"])
def test_a_place_is_given_back_whatever_the_check_says(stored: str | None) -> None:
    narrow = Passwords(memory_kib=8, passes=1, parallel=1, patience=5)

    for _ in range(2):
        narrow.matches(PASSWORD, stored)
