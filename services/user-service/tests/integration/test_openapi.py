"""The service against its own description: every answer is one the description knows, and none is a crash."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import hypothesis
import pytest
import schemathesis
from flask.testing import FlaskClient
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from service_chassis.service import Service
from service_chassis.testing.conformance import extremes
from user_service.model.actor import Actor
from user_service.model.invitation import Invitation
from user_service.model.membership import AccountRole
from user_service.model.notification import Channel, Notification
from user_service.model.one_time_token import Purpose
from user_service.model.user import Role, User
from user_service.persistence.unit_of_work import UnitOfWork
from user_service.usecases import lifecycle, members, service_clients

PASSWORD = "correct horse"
HOUR = timedelta(hours=1)
AUTH, ACCOUNT = "POST /api/v1/auth", "/api/v1/accounts/{account_id}"
NEVER = {
    # No worker runs here whose letters could be dead, and only services ask by the hash of a token.
    "GET /api/v1/dead-letters/{letter_id}",
    "GET /api/v1/accounts/by_token/{token_hash}",
}
"""Operations that have nothing to succeed with."""


def operations(admin: FlaskClient) -> list[Any]:
    described = schemathesis.openapi.from_wsgi("/openapi.json", admin.application).include(path_regex="^/api/v1")
    return [result.ok() for result in described.get_all_operations() if isinstance(result, Ok)]


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_every_answer_is_one_the_description_knows(admin: FlaskClient, mode: GenerationMode) -> None:
    headers = {"Authorization": admin.environ_base["HTTP_AUTHORIZATION"]}
    for operation in operations(admin):
        if mode is GenerationMode.NEGATIVE and not takes_anything(operation):
            continue

        @hypothesis.settings(max_examples=10)
        @hypothesis.given(operation.as_strategy(generation_mode=mode))
        def answers_as_described(case: schemathesis.Case[Any]) -> None:
            # No description can say which addresses are taken, which passwords are right or which cursors were given out.
            case.call_and_validate(headers=headers, excluded_checks=[positive_data_acceptance])

        answers_as_described()


def test_no_value_at_the_end_of_its_range_makes_it_fail(admin: FlaskClient) -> None:
    headers = {"Authorization": admin.environ_base["HTTP_AUTHORIZATION"]}

    assert extremes.failures(admin.application, headers) == []


def test_what_is_asked_of_those_who_are_there_succeeds_as_described(
    admin: FlaskClient, service: Service, new_user: Callable[..., User]
) -> None:
    succeeded: set[str] = set()
    everything = operations(admin)
    for operation in everything:

        @hypothesis.settings(max_examples=3, derandomize=True)
        @hypothesis.given(operation.as_strategy(generation_mode=GenerationMode.POSITIVE))
        def answers_as_described(case: schemathesis.Case[Any]) -> None:
            world = World.around(service, new_user)
            world.name_in(case)
            unknown = [positive_data_acceptance, negative_data_rejection]
            answer = case.call_and_validate(headers=world.headers, excluded_checks=unknown)
            if answer.status_code < 300:
                succeeded.add(case.operation.label)

        answers_as_described()

    assert {operation.label for operation in everything} - succeeded == NEVER


def takes_anything(operation: Any) -> bool:
    """Say whether a request can have anything wrong in it."""
    return bool(operation.body or any(operation.iter_parameters()))


NEW = itertools.count()


@dataclass(frozen=True, slots=True)
class World:
    """An admin who calls, and whom and what a request can name, made anew for each request."""

    service: Service
    caller: User
    other: User
    headers: dict[str, str]
    refresh_token: str

    @classmethod
    def around(cls, service: Service, new_user: Callable[..., User]) -> "World":
        caller, other = new_user(f"admin{next(NEW)}", Role.ADMIN), new_user(f"user{next(NEW)}")
        here, elsewhere = (service.parts.sign_in(caller.email, PASSWORD) for _ in range(2))
        headers = {"Authorization": f"Bearer {here.access_token}"}
        return cls(service, caller, other, headers, elsewhere.refresh_token)

    def name_in(self, case: schemathesis.Case[Any]) -> None:
        """Let a request name who and what there is."""
        label = case.operation.label
        case.headers = {}
        case.query = {name: value for name, value in (case.query or {}).items() if name not in {"cursor", "page"}}
        with self.service.units.write() as uow:
            if "members/{user_id}" in label:
                by = Actor(self.caller.id, Role.ADMIN)
                named = members.Named(user_id=self.other.id)
                members.add(uow, self.account, by, named, AccountRole.NORMAL)
            if label.endswith("reactivate"):
                lifecycle.deactivate(uow, self.other.id, "", by=self.caller.id, tokens_live=HOUR)
            case.path_parameters = dict(case.path_parameters or {}) | self._ids(uow, case.path_parameters or {})
            if isinstance(case.body, dict):
                unwanted, wanted = self._body(uow, label)
                kept = {name: value for name, value in case.body.items() if name not in unwanted}
                case.body = kept | wanted

    @property
    def account(self) -> int:
        return int(self.caller.home_account_id or 0)

    def _ids(self, uow: UnitOfWork, names: Any) -> dict[str, Any]:
        makers: dict[str, Callable[[], Any]] = {
            "user_id": lambda: self.other.id,
            "account_id": lambda: self.account,
            "invitation_id": lambda: self._invitation(uow, self.other, self.caller)[0].id,
            "notification_id": lambda: self._notification(uow),
            "session_id": lambda: next(iter(uow.sessions.kept_of(self.caller.id))).id,
        }
        return {name: str(makers[name]()) for name in names if name in makers}

    def _body(self, uow: UnitOfWork, label: str) -> tuple[set[str], dict[str, Any]]:
        """Return what a body is not to hold, and what it is to hold instead."""
        new = f"new{next(NEW)}@example.com"
        in_it: dict[str, Callable[[], dict[str, Any]]] = {
            "POST /api/v1/users": lambda: {"email": new},
            "PATCH /api/v1/users/{user_id}": lambda: {"email": new, "name": "Anna"},
            "PUT /api/v1/users/{user_id}": lambda: {"email": new, "name": "Anna", "role": "user"},
            "POST /api/v1/accounts": lambda: {"name": "Ours"},
            f"PATCH {ACCOUNT}": lambda: {"name": "Ours"},
            f"PUT {ACCOUNT}": lambda: {"name": "Ours"},
            f"POST {ACCOUNT}/members": lambda: {"user_id": str(self.other.id)},
            f"POST {ACCOUNT}/invitations": lambda: {"email": new},
            "POST /api/v1/accounts/invitations/accept": lambda: {
                "token": self._invitation(uow, self.caller, self.other)[1]
            },
            "POST /api/v1/notifications": lambda: {"user_id": str(self.other.id)},
            "POST /api/v1/email/status": lambda: {"notification_id": str(self._notification(uow))},
            "POST /api/v1/push/status": lambda: {"notification_id": str(self._notification(uow, Channel.PUSH))},
            f"{AUTH}/login": lambda: {"email": self.other.email, "password": PASSWORD},
            f"{AUTH}/opaque-token": lambda: {"email": self.other.email, "password": PASSWORD},
            f"{AUTH}/refresh": lambda: {"refresh_token": self.refresh_token},
            f"{AUTH}/token": lambda: {
                "client_id": "peer",
                "client_secret": service_clients.create(uow, "peer", []).plain,
            },
            f"{AUTH}/verify-email": lambda: self._token(uow, Purpose.VERIFY_EMAIL),
            f"{AUTH}/verify-email/resend": lambda: {"email": new},
            f"{AUTH}/password-reset": lambda: {"email": new},
            f"{AUTH}/password-reset/confirm": lambda: {"password": PASSWORD} | self._token(uow, Purpose.RESET_PASSWORD),
            f"{AUTH}/password": lambda: {"current_password": PASSWORD, "password": "battery staple"},
            f"{AUTH}/email-change": lambda: {"email": new, "password": PASSWORD},
            f"{AUTH}/email-change/confirm": lambda: self._token(uow, Purpose.CHANGE_EMAIL),
            f"{AUTH}/email-change/undo": lambda: self._token(uow, Purpose.UNDO_EMAIL_CHANGE),
        }
        unwanted = {"username", "password", "password_confirm", "user_number", "website", "request_id", "device_token"}
        # Most instants there are lie outside what is taken.
        unwanted |= {"since", "until"}
        return unwanted, in_it.get(label, dict)()

    def _token(self, uow: UnitOfWork, purpose: Purpose) -> dict[str, str]:
        other = self.other
        return {"token": uow.one_time_tokens.issue(other.id, purpose, other.email, at=uow.now, lifetime=HOUR)}

    def _invitation(self, uow: UnitOfWork, to: User, by: User) -> tuple[Invitation, str]:
        account = int(by.home_account_id or 0)
        invitation, token = Invitation.to(to.email, account, AccountRole.NORMAL, by.id, at=uow.now)
        return uow.invitations.add(invitation), token

    def _notification(self, uow: UnitOfWork, channel: Channel = Channel.EMAIL) -> UUID:
        new = Notification.new(self.caller.id, channel, "welcome", {}, at=uow.now, correlation_id=None)
        return uow.notifications.add(new).id
