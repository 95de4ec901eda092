"""Sessions against a model: whatever people, thieves, admins and the clock do in whatever order, both agree."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import hypothesis.strategies as st
import pytest
from flask.testing import FlaskClient
from hypothesis import settings
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import delete, select

from service_chassis.clock import ManualClock
from service_chassis.service import Service
from service_chassis.testing.plugin import only_sqlite
from user_service.model.session import Revocation, Session
from user_service.model.throttle import Throttle
from user_service.model.user import User
from user_service.usecases import lifecycle
from user_service.usecases.sign_in import GRACE

pytestmark = only_sqlite

PASSWORD = "correct horse"
REFRESH_LIFETIME = timedelta(hours=24)
SESSION_LIFETIME = timedelta(days=30)
PEOPLE = ("anna", "bert")
MOMENTS = st.sampled_from([timedelta(seconds=1), GRACE, GRACE + timedelta(seconds=1), timedelta(hours=1)])
LONG = st.sampled_from([timedelta(hours=23), timedelta(hours=24)])


@dataclass
class ModelSession:
    """What the service must know of a session, in the plainest words."""

    person: str
    began: datetime
    used: datetime
    counter: int = 0
    ended: str | None = None

    def is_live(self, now: datetime) -> bool:
        return self.ended is None and now < min(self.used + REFRESH_LIFETIME, self.began + SESSION_LIFETIME)


@dataclass
class Model:
    active: dict[str, bool] = field(default_factory=lambda: dict.fromkeys(PEOPLE, True))
    sessions: list[ModelSession] = field(default_factory=list)

    def refresh(self, session: ModelSession, counter: int, now: datetime) -> int:
        """Return the counter of the next token, or the status of the refusal as a negative number."""
        if not session.is_live(now):
            return -401
        if counter == session.counter:
            session.counter, session.used = counter + 1, now
            return session.counter
        if counter + 1 == session.counter and now - session.used <= GRACE:
            return session.counter
        session.ended = "refresh_token_reused"
        return -401

    def end_all(self, person: str, why: str) -> None:
        for session in self.sessions:
            if session.person == person and session.ended is None:
                session.ended = why


@dataclass(frozen=True)
class Token:
    session: int
    counter: int
    text: str
    access: str


class Sessions(RuleBasedStateMachine):
    """Runs over one service, which each run finds empty of sessions; set by `machine`."""

    service: Service
    web: FlaskClient
    clock: ManualClock
    users: dict[str, User]
    admin: User

    tokens = Bundle("tokens")

    @initialize(target=tokens, person=st.sampled_from(PEOPLE))
    def one_is_signed_in(self, person: str) -> Token | MultipleResults[Token]:
        with self.service.units.write() as uow:
            uow.session.execute(delete(Revocation))
            uow.session.execute(delete(Session))
            uow.session.execute(delete(Throttle))
            for user in self.users.values():
                if not uow.users.get(user.id).is_active:
                    uow.users.get(user.id).reactivate(at=uow.now)
        self.model = Model()
        return self.sign_in(person)

    @rule(target=tokens, person=st.sampled_from(PEOPLE))
    def sign_in(self, person: str) -> Token | MultipleResults[Token]:
        body = {"email": f"{person}@example.com", "password": PASSWORD}
        response = self.web.post("/api/v1/auth/login", json=body)
        if not self.model.active[person]:
            assert response.status_code == 401
            self.nobody_has_to_wait()
            return multiple()
        assert response.status_code == 200, response.text
        now = self.clock.now()
        self.model.sessions.append(ModelSession(person, now, now))
        data = response.get_json()["data"]
        return Token(len(self.model.sessions) - 1, 0, data["refresh_token"], data["access_token"])

    @rule(target=tokens, token=tokens)
    def refresh(self, token: Token) -> Token:
        response = self.web.post("/api/v1/auth/refresh", json={"refresh_token": token.text})
        expected = self.model.refresh(self.model.sessions[token.session], token.counter, self.clock.now())
        if expected < 0:
            assert response.status_code == -expected, response.text
            return token
        assert response.status_code == 200, response.text
        data = response.get_json()["data"]
        return Token(token.session, expected, data["refresh_token"], data["access_token"])

    @rule(target=tokens, token=tokens, step=MOMENTS)
    def use_a_token_twice(self, token: Token, step: timedelta) -> Token:
        self.refresh(token)
        self.clock.advance(step)
        return self.refresh(token)

    @rule(target=tokens, token=tokens)
    def come_every_day(self, token: Token) -> Token:
        """Refresh until the session is over, which is not before its time: a refused refresh ends it."""
        known = self.model.sessions[token.session]
        while known.is_live(self.clock.now()):
            token = self.refresh(token)
            self.clock.advance(timedelta(hours=23))
        return self.refresh(token)

    @rule(token=tokens)
    def sign_out(self, token: Token) -> None:
        response = self.web.post("/api/v1/auth/logout", headers={"Authorization": f"Bearer {token.access}"})
        if response.status_code == 200:
            session = self.model.sessions[token.session]
            session.ended = session.ended or "logout"

    @rule(person=st.sampled_from(PEOPLE))
    def deactivate(self, person: str) -> None:
        if self.model.active[person]:
            with self.service.units.write() as uow:
                lifecycle.deactivate(uow, self.users[person].id, "", by=self.admin.id, tokens_live=timedelta(hours=1))
            self.model.active[person] = False
            self.model.end_all(person, "deactivated")

    @rule(person=st.sampled_from(PEOPLE))
    def reactivate(self, person: str) -> None:
        if not self.model.active[person]:
            with self.service.units.write() as uow:
                uow.users.locked(self.users[person].id).reactivate(at=uow.now)
            self.model.active[person] = True

    @rule(step=MOMENTS | LONG)
    def time_passes(self, step: timedelta) -> None:
        self.clock.advance(step)

    def nobody_has_to_wait(self) -> None:
        """Forget the failures, of which other tests tell."""
        with self.service.units.write() as uow:
            uow.session.execute(delete(Throttle))

    @invariant()
    def model_and_service_agree(self) -> None:
        with self.service.units.read() as uow:
            rows = list(uow.session.scalars(select(Session).order_by(Session.created_at, Session.id)))
        names = {user.id: name for name, user in self.users.items()}
        now = self.clock.now()
        actual = [(names[row.user_id], row.counter, row.is_live(at=now), row.end_reason) for row in rows]
        expected = [(s.person, s.counter, s.is_live(now), s.ended) for s in self.model.sessions]
        assert sorted(map(str, actual)) == sorted(map(str, expected))


@pytest.fixture
def machine(service: Service, web: FlaskClient, clock: ManualClock, new_user: Callable[..., User]) -> type[Sessions]:
    people = {name: new_user(name) for name in PEOPLE}
    with service.units.read() as uow:
        admin = uow.users.by_email("admin@example.com")
    namespace = {"service": service, "web": web, "clock": clock, "users": people, "admin": admin}
    return type("SessionsOfThisTest", (Sessions,), namespace)


def test_sessions_do_what_the_model_says(machine: type[Sessions]) -> None:
    run_state_machine_as_test(machine, settings=settings(max_examples=25, stateful_step_count=30))


@pytest.mark.long
@pytest.mark.timeout(900)
def test_sessions_do_what_the_model_says_a_thousand_times(machine: type[Sessions]) -> None:
    run_state_machine_as_test(machine, settings=settings(max_examples=1000, stateful_step_count=30))
