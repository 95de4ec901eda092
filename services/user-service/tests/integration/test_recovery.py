"""Getting in again: what goes out by mail, what it opens, and what nobody learns from asking.

S4-09, S4-10 and S4-11.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from event_contracts import Contract, NotificationReady, UserUpdated
from service_chassis.clock import ManualClock
from service_chassis.messaging.envelope import Event
from service_chassis.service import Service
from service_chassis.testing.plugin import only_postgresql, only_sqlite
from service_chassis.testing.waiting import wait_until
from user_service.model.device import ANYWHERE
from user_service.model.errors import WrongPassword
from user_service.model.one_time_token import OneTimeToken, Purpose
from user_service.model.passwords import Passwords
from user_service.model.recovery import RecoveryRequest
from user_service.model.throttle import ACCOUNT, ADDRESS
from user_service.model.user import User
from user_service.usecases import lifecycle, recovery, registration
from user_service.usecases.credentials import Credentials

AUTH = "/api/v1/auth"
LOGIN = f"{AUTH}/login"
RESET = f"{AUTH}/password-reset"
CONFIRM = f"{AUTH}/password-reset/confirm"
VERIFY = f"{AUTH}/verify-email"
RESEND = f"{AUTH}/verify-email/resend"
CHANGE_PASSWORD = f"{AUTH}/password"
CHANGE_EMAIL = f"{AUTH}/email-change"
PASSWORD = "correct horse"
NEW = "battery staple"
MINUTE = timedelta(minutes=1)
Mail = dict[str, Any]


def login(web: FlaskClient, email: str = "anna@example.com", password: str = PASSWORD) -> TestResponse:
    return web.post(LOGIN, json={"email": email, "password": password})


def tokens_of(response: TestResponse) -> Any:
    assert response.status_code == 200, response.text
    return response.get_json()["data"]


def signed(tokens: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens['access_token']}"}


def error(response: TestResponse) -> tuple[int, str]:
    return response.status_code, response.get_json()["error"]


def ask_for_reset(web: FlaskClient, email: str = "anna@example.com") -> TestResponse:
    return web.post(RESET, json={"email": email})


def confirm(web: FlaskClient, token: str, password: str = NEW) -> TestResponse:
    return web.post(CONFIRM, json={"token": token, "password": password})


def test_who_forgot_the_password_sets_a_new_one_by_mail(
    web: FlaskClient, anna: User, mails: Callable[[], list[Mail]]
) -> None:
    """S4-11."""
    assert ask_for_reset(web).status_code == 202

    (mail,) = mails()
    assert (mail["to"], mail["template"], mail["minutes"]) == (anna.email, "password_reset", "60")
    assert confirm(web, mail["token"]).status_code == 200

    assert error(login(web)) == (401, "invalid_credentials")
    assert login(web, password=NEW).status_code == 200
    assert [later["template"] for later in mails()] == ["password_reset", "password_changed"]


def test_the_answer_is_the_same_for_addresses_nobody_has(
    web: FlaskClient, anna: User, service: Service, mails: Callable[[], list[Mail]]
) -> None:
    """S4-10."""
    for path in (RESET, RESEND):
        known, unknown = (web.post(path, json={"email": email}) for email in (anna.email, "nobody@example.com"))

        assert known.status_code == unknown.status_code == 202
        assert known.data == unknown.data

    with service.units.read() as uow:
        assert len(list(uow.session.scalars(select(RecoveryRequest)))) == 4
    assert {mail["to"] for mail in mails()} == {anna.email}
    with service.units.read() as uow:
        assert list(uow.session.scalars(select(RecoveryRequest))) == []


@only_sqlite
def test_a_token_is_in_no_answer_and_in_no_row(
    web: FlaskClient, anna: User, service: Service, mails: Callable[[], list[Mail]], env: dict[str, str]
) -> None:
    """S4-10."""
    answers = [ask_for_reset(web).text, web.post(RESEND, json={"email": anna.email}).text]
    tokens = [mail["token"] for mail in mails()]

    with service.units.read() as uow:
        connection = uow.session.connection().connection.dbapi_connection
        dump = "\n".join(connection.iterdump())
    assert len(tokens) == 2
    for token in tokens:
        assert token not in dump
        assert all(token not in answer for answer in answers)


def test_a_token_is_used_once(web: FlaskClient, anna: User, mails: Callable[[], list[Mail]]) -> None:
    ask_for_reset(web)
    token = mails()[0]["token"]
    confirm(web, token)

    assert error(confirm(web, token, "another one")) == (400, "invalid_token")
    assert login(web, password=NEW).status_code == 200


def test_a_newer_token_replaces_the_older(
    web: FlaskClient, anna: User, mails: Callable[[], list[Mail]], clock: ManualClock
) -> None:
    ask_for_reset(web)
    mails()
    clock.advance(MINUTE)
    ask_for_reset(web)
    older, newer = mails()

    assert error(confirm(web, older["token"])) == (400, "invalid_token")
    assert confirm(web, newer["token"]).status_code == 200


def test_who_asks_again_at_once_gets_one_mail(
    web: FlaskClient, anna: User, mails: Callable[[], list[Mail]], clock: ManualClock
) -> None:
    for _ in range(3):
        ask_for_reset(web)
        ask_for_reset(web)
        clock.advance(timedelta(seconds=10))

    assert len(mails()) == 1


def test_a_token_expires(
    web: FlaskClient, anna: User, mails: Callable[[], list[Mail]], clock: ManualClock, service: Service
) -> None:
    ask_for_reset(web)
    token = mails()[0]["token"]
    clock.advance(60 * MINUTE)

    assert error(confirm(web, token)) == (400, "invalid_token")
    with service.units.write() as uow:
        recovery.forget(uow)
        assert list(uow.session.scalars(select(OneTimeToken))) == []


def test_a_reset_signs_nobody_in_and_everybody_out(
    web: FlaskClient, anna: User, mails: Callable[[], list[Mail]]
) -> None:
    session = tokens_of(login(web))
    ask_for_reset(web)

    answer = confirm(web, mails()[0]["token"])

    assert answer.get_json()["data"] is None
    refused = web.post(f"{AUTH}/refresh", json={"refresh_token": session["refresh_token"]})
    assert error(refused) == (401, "invalid_refresh_token")


def test_a_reset_gives_a_deactivated_user_nothing(
    web: FlaskClient, anna: User, admin: FlaskClient, mails: Callable[[], list[Mail]], clock: ManualClock
) -> None:
    ask_for_reset(web)
    token = mails()[0]["token"]
    admin.post(f"/api/v1/users/{anna.id}/deactivate", json={})

    assert error(confirm(web, token)) == (400, "invalid_token")
    clock.advance(MINUTE)
    ask_for_reset(web)
    assert len(mails()) == 1


def test_a_reset_lets_somebody_in_whom_others_locked_out(
    web: FlaskClient, anna: User, mails: Callable[[], list[Mail]]
) -> None:
    for _ in range(6):
        login(web, password="wrong")
    assert login(web).status_code == 429

    ask_for_reset(web)
    confirm(web, mails()[0]["token"])

    assert login(web, password=NEW).status_code == 200


@only_sqlite
def test_a_weak_password_does_not_use_the_token_up(
    web: FlaskClient, anna: User, mails: Callable[[], list[Mail]]
) -> None:
    ask_for_reset(web)
    token = mails()[0]["token"]

    assert error(confirm(web, token, "short")) == (400, "weak_password")
    unlike = web.post(CONFIRM, json={"token": token, "password": NEW, "password_confirm": "another"})
    assert error(unlike) == (400, "validation_failed")
    assert confirm(web, token).status_code == 200


@only_sqlite
def test_a_token_opens_its_own_door_only(web: FlaskClient, anna: User, mails: Callable[[], list[Mail]]) -> None:
    ask_for_reset(web)
    web.post(RESEND, json={"email": anna.email})
    reset, verify = sorted((mail["template"], mail["token"]) for mail in mails())

    assert error(confirm(web, verify[1])) == (400, "invalid_token")
    assert error(web.post(VERIFY, json={"token": reset[1]})) == (400, "invalid_token")
    for _, token in (reset, verify):
        assert web.get("/api/v1/users", headers={"Authorization": f"Bearer {token}"}).status_code == 401


@only_sqlite
def test_the_worker_answers_what_waits_and_carries_the_correlation_id_on(
    web: FlaskClient, anna: User, service: Service, published: Callable[[type[Contract]], list[Event]]
) -> None:
    web.post(RESET, json={"email": anna.email}, headers={"X-Correlation-ID": "the-request"})
    worker = service.make_worker()

    jobs = {job.name: job for job in worker.scheduler._jobs}
    more = [jobs["recovery.decide"].run() for _ in range(2)]

    assert more == [False, False]
    assert [event.correlation_id for event in published(NotificationReady)] == ["the-request"]
    worker._parts.broker.close()


@only_sqlite
def test_who_asks_for_many_mails_is_slowed_down(web: FlaskClient) -> None:
    statuses = [ask_for_reset(web, f"user{number}@example.com").status_code for number in range(ADDRESS.free + 1)]

    assert statuses == [202] * ADDRESS.free + [429]


def register(web: FlaskClient, email: str = "bert@example.com") -> TestResponse:
    return web.post("/api/v1/users", json={"email": email, "password": PASSWORD, "name": "Bert"})


def test_who_registers_is_asked_to_confirm_the_address(
    web: FlaskClient, mails: Callable[[], list[Mail]], service: Service
) -> None:
    """S4-09."""
    assert register(web).status_code == 201

    (mail,) = mails()
    assert (mail["to"], mail["template"]) == ("bert@example.com", "verify_email")
    verified = web.post(VERIFY, json={"token": mail["token"]})
    assert verified.status_code == 200
    assert verified.get_json()["data"]["email_verified_at"] is not None
    assert error(web.post(VERIFY, json={"token": mail["token"]})) == (400, "invalid_token")


def test_who_has_confirmed_gets_no_further_mail(web: FlaskClient, mails: Callable[[], list[Mail]]) -> None:
    register(web)
    web.post(VERIFY, json={"token": mails()[0]["token"]})

    web.post(RESEND, json={"email": "bert@example.com"})

    assert len(mails()) == 1


def test_asking_which_addresses_are_taken_is_slowed_down(web: FlaskClient, anna: User) -> None:
    answers = [error(register(web, anna.email)) for _ in range(ADDRESS.free + 1)]

    assert answers == [(409, "email_taken")] * ADDRESS.free + [(429, "too_many_attempts")]


def test_whom_an_admin_adds_is_asked_to_set_a_password_which_proves_the_address(
    admin: FlaskClient, mails: Callable[[], list[Mail]]
) -> None:
    added = admin.post("/api/v1/users", json={"email": "carl@example.com"})

    assert added.get_json()["data"]["user"]["email_verified_at"] is None
    assert [(mail["to"], mail["template"]) for mail in mails()] == [("carl@example.com", "password_reset")]


class TestWhereAddressesHaveToBeConfirmedFirst:
    @pytest.fixture
    def env(self, env: dict[str, str]) -> dict[str, str]:
        return env | {"REQUIRE_EMAIL_VERIFICATION": "true"}

    def test_registering_answers_the_same_whether_or_not_an_address_is_taken(
        self, web: FlaskClient, anna: User, mails: Callable[[], list[Mail]]
    ) -> None:
        taken, free = register(web, anna.email), register(web)

        assert taken.status_code == free.status_code == 202
        assert taken.data == free.data
        assert sorted((mail["to"], mail["template"]) for mail in mails()) == [
            (anna.email, "already_registered"),
            ("bert@example.com", "verify_email"),
        ]

    def test_nobody_signs_in_before_the_address_is_confirmed(
        self, web: FlaskClient, mails: Callable[[], list[Mail]]
    ) -> None:
        register(web)
        (mail,) = mails()
        assert error(login(web, "bert@example.com")) == (401, "invalid_credentials")
        assert error(login(web, "bert@example.com", "wrong")) == (401, "invalid_credentials")

        web.post(VERIFY, json={"token": mail["token"]})

        assert login(web, "bert@example.com").status_code == 200

    def test_who_registers_an_address_and_signs_in_does_not_learn_whether_it_was_taken(
        self, web: FlaskClient, anna: User, mails: Callable[[], list[Mail]]
    ) -> None:
        """S 6."""
        guessed, free, checked = "a password of theirs", "bert@example.com", []
        for email in (anna.email, free):
            web.post("/api/v1/users", json={"email": email, "password": guessed})
        mails()

        for email in (anna.email, free):
            answers = [login(web, email, guessed) for _ in range(ACCOUNT.free + 1)]
            checked.append([(answer.status_code, answer.data) for answer in answers])

        assert checked[0] == checked[1]
        assert [status for status, _ in checked[0]] == [401] * ACCOUNT.free + [429]

    def test_who_confirms_after_guesses_at_the_address_signs_in(
        self, web: FlaskClient, mails: Callable[[], list[Mail]]
    ) -> None:
        """S 6."""
        register(web)
        (mail,) = mails()
        for _ in range(ACCOUNT.free - 1):
            login(web, "bert@example.com")

        web.post(VERIFY, json={"token": mail["token"]})

        assert login(web, "bert@example.com").status_code == 200

    def test_the_administrator_made_by_the_operator_signs_in(self, web: FlaskClient) -> None:
        assert login(web, "admin@example.com", "adminpass").status_code == 200


def test_who_changes_the_password_is_signed_out_everywhere_else(
    web: FlaskClient, anna: User, mails: Callable[[], list[Mail]]
) -> None:
    elsewhere, here = tokens_of(login(web)), tokens_of(login(web))

    changed = web.post(CHANGE_PASSWORD, json={"current_password": PASSWORD, "password": NEW}, headers=signed(here))

    for old in (elsewhere, here):
        refused = web.post(f"{AUTH}/refresh", json={"refresh_token": old["refresh_token"]})
        assert error(refused) == (401, "invalid_refresh_token")
    new = tokens_of(changed)
    assert web.post(f"{AUTH}/refresh", json={"refresh_token": new["refresh_token"]}).status_code == 200
    assert login(web, password=NEW).status_code == 200
    assert [mail["template"] for mail in mails()] == ["password_changed"]


class Interrupted(Passwords):
    """Lets something happen while a new password is hashed."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        super().__init__(memory_kib=8, passes=1)
        self._meanwhile = meanwhile

    def hash(self, password: str) -> str:
        self._meanwhile()
        return super().hash(password)


@pytest.mark.parametrize("change", ["deactivation", "another password"])
def test_what_happens_while_a_new_password_is_hashed_is_not_overlooked(
    service: Service, anna: User, state_of: Callable[[User], User], change: str
) -> None:
    def meanwhile() -> None:
        with service.units.write() as uow:
            if change == "deactivation":
                lifecycle.deactivate(uow, anna.id, "", by=anna.id, tokens_live=timedelta(hours=1))
            else:
                uow.users.get(anna.id).password_hash = "another"

    parts = service.parts
    credentials = Credentials(
        service.units,
        Interrupted(meanwhile),
        parts.password_policy,
        tokens=parts.tokens,
        attempts=parts.attempts,
        lifetimes=parts.settings.one_time_tokens,
    )
    expected = "another" if change == "another password" else anna.password_hash

    with pytest.raises(WrongPassword):
        credentials.change_password(anna.id, PASSWORD, NEW, ANYWHERE)

    assert state_of(anna).password_hash == expected


def test_who_changes_the_password_in_a_browser_stays_signed_in_there(web: FlaskClient, anna: User) -> None:
    session = tokens_of(web.post(LOGIN, json={"email": anna.email, "password": PASSWORD, "cookies": True}))

    changed = web.post(CHANGE_PASSWORD, json={"current_password": PASSWORD, "password": NEW}, headers=signed(session))

    assert (tokens_of(changed)["refresh_token"], tokens_of(changed)["device_token"]) == (None, None)
    refreshed = web.post(f"{AUTH}/refresh", json={}, headers={"X-Requested-With": "fetch"})
    assert tokens_of(refreshed)["user"]["email"] == anna.email


def test_a_stolen_session_does_not_guess_the_password(web: FlaskClient, anna: User) -> None:
    headers = signed(tokens_of(login(web)))
    guess = {"current_password": "wrong", "password": NEW}

    answers = [error(web.post(CHANGE_PASSWORD, json=guess, headers=headers)) for _ in range(6)]

    assert answers == [(403, "wrong_password")] * 5 + [(429, "too_many_attempts")]
    assert login(web).status_code == 200


def test_whose_password_was_guessed_at_in_a_stolen_session_can_change_it_after_a_reset(
    web: FlaskClient, anna: User, mails: Callable[[], list[Mail]]
) -> None:
    stolen = signed(tokens_of(login(web)))
    for _ in range(6):
        web.post(CHANGE_PASSWORD, json={"current_password": "wrong", "password": NEW}, headers=stolen)
    ask_for_reset(web)
    confirm(web, mails()[0]["token"])

    headers = signed(tokens_of(login(web, password=NEW)))
    changed = web.post(CHANGE_PASSWORD, json={"current_password": NEW, "password": PASSWORD}, headers=headers)

    assert changed.status_code == 200


def change_email(web: FlaskClient, headers: dict[str, str], email: str, password: str = PASSWORD) -> TestResponse:
    return web.post(CHANGE_EMAIL, json={"email": email, "password": password}, headers=headers)


def test_a_new_address_counts_once_it_is_confirmed_and_the_old_one_is_told(
    web: FlaskClient, anna: User, mails: Callable[[], list[Mail]], published: Callable[[type[Contract]], list[Event]]
) -> None:
    headers = signed(tokens_of(login(web)))
    assert change_email(web, headers, "Anna@new.example").status_code == 202

    to_new, to_old = mails()
    assert (to_new["to"], to_new["template"]) == ("anna@new.example", "email_change")
    assert (to_old["to"], to_old["template"]) == (anna.email, "email_change_notice")
    assert login(web).status_code == 200

    confirmed = web.post(f"{CHANGE_EMAIL}/confirm", json={"token": to_new["token"]})

    assert confirmed.get_json()["data"]["email"] == "anna@new.example"
    assert login(web).status_code == 401
    assert login(web, "anna@new.example").status_code == 200
    assert [event.data.email for event in published(UserUpdated)] == ["anna@new.example"]


def test_without_the_password_no_address_is_changed(
    web: FlaskClient, anna: User, mails: Callable[[], list[Mail]]
) -> None:
    answer = change_email(web, signed(tokens_of(login(web))), "evil@example.com", "wrong")

    assert error(answer) == (403, "wrong_password")
    assert mails() == []


@pytest.mark.parametrize("confirmed", [False, True])
def test_the_old_address_can_take_the_change_back(
    web: FlaskClient, anna: User, mails: Callable[[], list[Mail]], *, confirmed: bool
) -> None:
    thief = tokens_of(login(web))
    change_email(web, signed(thief), "thief@example.com")
    to_new, to_old = mails()
    if confirmed:
        web.post(f"{CHANGE_EMAIL}/confirm", json={"token": to_new["token"]})

    undone = web.post(f"{CHANGE_EMAIL}/undo", json={"token": to_old["token"]})

    assert undone.get_json()["data"]["email"] == anna.email
    assert error(web.post(f"{CHANGE_EMAIL}/confirm", json={"token": to_new["token"]})) == (400, "invalid_token")
    assert web.post(f"{AUTH}/refresh", json={"refresh_token": thief["refresh_token"]}).status_code == 401
    assert login(web).status_code == 200


def test_nobody_learns_by_changing_the_address_whether_another_one_is_taken(
    web: FlaskClient, anna: User, new_user: Callable[..., User], mails: Callable[[], list[Mail]]
) -> None:
    bert = new_user("bert")
    headers = signed(tokens_of(login(web)))

    taken, free = change_email(web, headers, bert.email), change_email(web, headers, "free@example.com")

    assert (taken.status_code, taken.data) == (free.status_code, free.data)
    assert [mail["to"] for mail in mails()] == [anna.email, "free@example.com", anna.email]


def test_an_address_taken_meanwhile_is_not_taken_away(
    web: FlaskClient, anna: User, new_user: Callable[..., User], mails: Callable[[], list[Mail]]
) -> None:
    change_email(web, signed(tokens_of(login(web))), "bert@example.com")
    token = mails()[0]["token"]
    new_user("bert")

    assert error(web.post(f"{CHANGE_EMAIL}/confirm", json={"token": token})) == (409, "email_taken")


def test_a_reset_token_that_went_to_the_old_address_dies_with_it(
    web: FlaskClient, anna: User, mails: Callable[[], list[Mail]]
) -> None:
    ask_for_reset(web)
    reset = mails()[0]["token"]
    change_email(web, signed(tokens_of(login(web))), "anna@new.example")
    web.post(f"{CHANGE_EMAIL}/confirm", json={"token": mails()[1]["token"]})

    assert error(confirm(web, reset)) == (400, "invalid_token")


@pytest.mark.parametrize(
    ("purpose", "path", "more"),
    [(Purpose.RESET_PASSWORD, CONFIRM, {"password": NEW}), (Purpose.VERIFY_EMAIL, VERIFY, {})],
    ids=["reset", "verify"],
)
def test_a_token_that_speaks_for_another_address_is_void(
    web: FlaskClient, anna: User, service: Service, *, purpose: Purpose, path: str, more: Mail
) -> None:
    with service.units.write() as uow:
        token = uow.one_time_tokens.issue(anna.id, purpose, "former@example.com", at=uow.now, lifetime=60 * MINUTE)

    assert error(web.post(path, json={"token": token, **more})) == (400, "invalid_token")
    assert login(web).status_code == 200


@pytest.mark.parametrize("how", ["changed", "reset"])
def test_with_the_password_goes_a_change_of_address_that_waits(
    web: FlaskClient, anna: User, mails: Callable[[], list[Mail]], how: str
) -> None:
    thief, own = signed(tokens_of(login(web))), signed(tokens_of(login(web)))
    change_email(web, thief, "thief@example.com")
    to_thief, to_anna = mails()

    if how == "changed":
        web.post(CHANGE_PASSWORD, json={"current_password": PASSWORD, "password": NEW}, headers=own)
    else:
        ask_for_reset(web)
        confirm(web, mails()[-1]["token"])

    assert login(web, password=NEW).status_code == 200
    assert error(web.post(f"{CHANGE_EMAIL}/confirm", json={"token": to_thief["token"]})) == (400, "invalid_token")
    assert web.post(f"{CHANGE_EMAIL}/undo", json={"token": to_anna["token"]}).status_code == 200


class TestAfterSeveralChangesOfAddress:
    @pytest.fixture
    def undo(
        self, web: FlaskClient, anna: User, clock: ManualClock, mails: Callable[[], list[Mail]]
    ) -> tuple[str, str]:
        """The tokens mailed to Anna and then to the thief, who has taken her address twice."""
        tokens = []
        for old, new in ((anna.email, "thief@example.com"), ("thief@example.com", "other@example.com")):
            change_email(web, signed(tokens_of(login(web, old))), new)
            to_new, to_old = mails()[-2:]
            assert to_old["to"] == old
            web.post(f"{CHANGE_EMAIL}/confirm", json={"token": to_new["token"]})
            tokens.append(to_old["token"])
            clock.advance(MINUTE)
        return tokens[0], tokens[1]

    def test_the_first_address_takes_all_of_them_back_within_seven_days(
        self, web: FlaskClient, anna: User, undo: tuple[str, str], clock: ManualClock
    ) -> None:
        clock.advance(timedelta(days=7) - 3 * MINUTE)

        undone = web.post(f"{CHANGE_EMAIL}/undo", json={"token": undo[0]})

        assert undone.get_json()["data"]["email"] == anna.email
        assert error(web.post(f"{CHANGE_EMAIL}/undo", json={"token": undo[1]})) == (400, "invalid_token")

    def test_who_takes_the_last_one_back_does_not_make_the_first_one_good(
        self, web: FlaskClient, anna: User, undo: tuple[str, str]
    ) -> None:
        to_the_thief = web.post(f"{CHANGE_EMAIL}/undo", json={"token": undo[1]})
        to_anna = web.post(f"{CHANGE_EMAIL}/undo", json={"token": undo[0]})

        assert to_the_thief.get_json()["data"]["email"] == "thief@example.com"
        assert to_anna.get_json()["data"]["email"] == anna.email


@only_postgresql
def test_of_two_who_take_one_address_at_once_the_second_is_told_that_it_is_taken(
    web: FlaskClient,
    anna: User,
    service: Service,
    mails: Callable[[], list[Mail]],
    blocked: Callable[[], bool],
) -> None:
    change_email(web, signed(tokens_of(login(web))), "new@example.com")
    token = mails()[0]["token"]

    with ThreadPoolExecutor() as pool:
        with service.units.write() as uow:
            registration.register(uow, "new@example.com", "Bert", None)
            confirming = pool.submit(lambda: web.post(f"{CHANGE_EMAIL}/confirm", json={"token": token}))
            wait_until(blocked)
        assert error(confirming.result(10)) == (409, "email_taken")
