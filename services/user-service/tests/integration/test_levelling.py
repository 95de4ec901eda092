"""The time of a no does not say whether somebody's hash was imported, or whether there is anybody. S 8."""

import base64
import hashlib
import random
import time
from collections.abc import Callable
from pathlib import Path

import bcrypt
import pytest

from service_chassis.clock import ManualClock
from service_chassis.service import Service
from service_chassis.testing.plugin import only_sqlite
from user_service.model.errors import InvalidCredentials
from user_service.model.passwords import Passwords, decoy_of, form_of
from user_service.model.user import User
from user_service.usecases.importing import import_users
from user_service.usecases.sign_in import FORMS_REMEMBERED

PEOPLE = 24
PBKDF2 = 120_000
"""Iterations that take some forty milliseconds, where the hash of this service takes a fraction of one."""


def pbkdf2(password: str, iterations: int = PBKDF2) -> str:
    digest = base64.b64encode(hashlib.pbkdf2_hmac("sha256", password.encode(), b"salt", iterations)).decode()
    return f"pbkdf2_sha256${iterations}$salt${digest}"


@pytest.fixture
def imported(service: Service, tmp_path: Path) -> list[str]:
    """Addresses of people whose hashes came from elsewhere."""
    emails = [f"imported{number}@example.com" for number in range(PEOPLE)]
    file = tmp_path / "users.csv"
    stored = pbkdf2("what they had")
    file.write_text("email,password_hash\n" + "".join(f"{email},{stored}\n" for email in emails), encoding="utf-8")
    assert import_users(service.units, file, tmp_path / "rejects.csv").imported == PEOPLE
    return emails


def refused(service: Service, email: str) -> float:
    """Return the seconds a wrong password takes."""
    started = time.perf_counter()
    with pytest.raises(InvalidCredentials):
        service.parts.sign_in(email, "wrong")
    return time.perf_counter() - started


def auc(one: list[float], other: list[float]) -> float:
    """Return how often a value of one list is greater than one of the other: 0.5 tells nothing apart."""
    greater = sum(1.0 if first > second else 0.5 if first == second else 0.0 for first in one for second in other)
    return greater / (len(one) * len(other))


@only_sqlite
@pytest.mark.serial
def test_a_no_takes_as_long_for_imported_hashes_as_for_own_ones_and_for_nobody(
    service: Service, imported: list[str], new_user: Callable[..., User]
) -> None:
    groups = {
        "imported": imported,
        "own": [new_user(f"own{number}").email for number in range(PEOPLE)],
        "nobody": [f"nobody{number}@example.com" for number in range(PEOPLE)],
    }
    attempts = [(name, email) for name, emails in groups.items() for email in emails]
    random.Random(8).shuffle(attempts)
    refused(service, "warm-up@example.com")
    times: dict[str, list[float]] = {name: [] for name in groups}
    for name, email in attempts:
        times[name].append(refused(service, email))

    for name in ("own", "nobody"):
        assert 0.25 < auc(times["imported"], times[name]) < 0.75, name
        assert min(times[name]) > min(times["imported"]) * 0.8


@only_sqlite
def test_a_process_learns_within_a_minute_of_the_forms_an_import_brings(
    service: Service, clock: ManualClock, request: pytest.FixtureRequest
) -> None:
    before = refused(service, "nobody1@example.com")
    request.getfixturevalue("imported")

    clock.advance(FORMS_REMEMBERED)
    after = refused(service, "nobody2@example.com")
    levelled = refused(service, "nobody3@example.com")

    assert min(after, levelled) > 3 * before


def test_with_one_form_alone_nobody_waits() -> None:
    passwords = Passwords(memory_kib=8, passes=1)
    passwords.know([passwords.form])

    started = time.perf_counter()
    assert not passwords.matches("wrong", passwords.hash("right"))

    assert time.perf_counter() - started < 0.5
    assert passwords._levels.level() == 0


@pytest.mark.parametrize(
    "stored",
    [
        pbkdf2("x", 1_000),
        bcrypt.hashpw(b"x", bcrypt.gensalt(4)).decode(),
        "bcrypt$" + bcrypt.hashpw(b"x", bcrypt.gensalt(4)).decode(),
        "bcrypt_sha256$" + bcrypt.hashpw(b"x", bcrypt.gensalt(4)).decode(),
        Passwords(memory_kib=16, passes=2).hash("x"),
        "argon2$argon2id$v=19$m=64,t=1,p=8$c2Vhc2FsdDA$AVJeC0R5H4Iu3NQEYoCy0WIaD/BCOMDJFnFEVSblVHE",
    ],
    ids=["pbkdf2", "bcrypt", "django bcrypt", "django bcrypt_sha256", "argon2", "django argon2"],
)
def test_a_decoy_of_each_form_costs_what_the_form_costs(stored: str) -> None:
    form = form_of(stored)
    assert form is not None
    decoy = decoy_of(form)

    assert form_of(decoy) == form
    passwords = Passwords(memory_kib=8, passes=1)
    passwords.know([form])
    assert passwords._levels.unknown([form]) == []
    assert not passwords.matches("x", decoy)


@only_sqlite
def test_forms_that_were_ever_stored_are_known(service: Service, imported: list[str]) -> None:
    service.seed()

    with service.units.read() as uow:
        assert uow.password_forms.all() == {f"pbkdf2_sha256${PBKDF2}$", service.parts.passwords.form}
