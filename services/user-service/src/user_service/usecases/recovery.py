"""Mails that prove whose an address is, and what their tokens open.

A request about an address looks nothing up: it leaves one row, and what comes of it is decided later, so that no
answer and no delay says whether anybody has the address.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from service_chassis import correlation
from user_service.model.email import normalised_email
from user_service.model.errors import TooManyAttempts
from user_service.model.one_time_token import OneTimeTokenLifetimes, Purpose
from user_service.model.recovery import RecoveryKind
from user_service.model.user import User
from user_service.persistence.unit_of_work import UnitOfWork
from user_service.usecases import proof, registration, throttling
from user_service.usecases.notifying import notify
from user_service.usecases.one_time_tokens import redeem_by_address
from user_service.usecases.throttling import UNLIMITED, Attempt

AT_ONCE = 100
PAUSE = timedelta(minutes=1)
"""How long after one mail the next of its kind goes to the same user."""


def request(
    uow: UnitOfWork,
    kind: RecoveryKind,
    email: str,
    attempt: Attempt,
    details: Mapping[str, Any] | None = None,
    *,
    mailbox: Attempt = UNLIMITED,
) -> None:
    """Keep a request for the worker. Raises InvalidEmail, TooManyAttempts.

    What is too much for one address is passed over in silence: its owner has the mail of the request before, and
    whoever asks for others is not to keep the owner from asking.
    """
    address = normalised_email(email)
    # Who asks for many mails is slowed down like who guesses many passwords.
    throttling.counted(uow, attempt)
    try:
        throttling.counted(uow, mailbox)
    except TooManyAttempts:
        return
    uow.recovery_requests.add(kind, address, details or {}, uow.correlation_id, at=uow.now)


def is_one_waiting(uow: UnitOfWork) -> bool:
    return uow.recovery_requests.waiting()


def decide(uow: UnitOfWork, lifetimes: OneTimeTokenLifetimes) -> bool:
    """Answer requests that wait; say whether there may be more."""
    taken = uow.recovery_requests.take(AT_ONCE)
    # Users before their tokens, and all of them in one order, as everywhere.
    uow.users.lock_holders([waiting.email for waiting in taken])
    for waiting in taken:
        with correlation.correlated(correlation.from_headers(waiting.correlation_id, None)):
            DECISIONS[RecoveryKind(waiting.kind)](uow, waiting.email, waiting.details, lifetimes)
    return len(taken) == AT_ONCE


def verify_email(uow: UnitOfWork, token: str, *, tokens_live: timedelta, prover: UUID | None = None) -> User:
    """Note that an address is its user's. Raises InvalidOneTimeToken."""
    user = redeem_by_address(uow, token, Purpose.VERIFY_EMAIL)
    proof.of_address(uow, user, prover=prover, tokens_live=tokens_live)
    uow.record(str(user.id), "user_email_verified", user)
    return user


def forget(uow: UnitOfWork) -> bool:
    """Delete tokens that are too old to be used; say whether there may be more."""
    return uow.one_time_tokens.forget(uow.now)


def _reset(uow: UnitOfWork, email: str, _: Mapping[str, Any], lifetimes: OneTimeTokenLifetimes) -> None:
    user = uow.users.by_email(email)
    if user is not None:
        _offer_reset(uow, user, "password_reset", lifetimes)


def _verify(uow: UnitOfWork, email: str, _: Mapping[str, Any], lifetimes: OneTimeTokenLifetimes) -> None:
    user = uow.users.by_email(email)
    if user is not None and user.is_active and user.email_verified_at is None:
        registration.ask_to_verify(uow, user, lifetimes, pause=PAUSE)


def _register(uow: UnitOfWork, email: str, details: Mapping[str, Any], lifetimes: OneTimeTokenLifetimes) -> None:
    """Register who is new; tell who is not that they have an account, and how to get into it."""
    user = uow.users.by_email(email)
    if user is None:
        registration.sign_up(uow, email, **details, lifetimes=lifetimes)
    else:
        _offer_reset(uow, user, "already_registered", lifetimes)


def _offer_reset(uow: UnitOfWork, user: User, template: str, lifetimes: OneTimeTokenLifetimes) -> None:
    tokens = uow.one_time_tokens
    if not user.is_active or tokens.issued_since(user.id, Purpose.RESET_PASSWORD, uow.now - PAUSE):
        return
    lifetime = lifetimes.reset_password
    token = tokens.issue(user.id, Purpose.RESET_PASSWORD, user.email, at=uow.now, lifetime=lifetime)
    notify(uow, user, template, {"minutes": str(lifetime // timedelta(minutes=1))}, secrets={"token": token})


Decision = Callable[[UnitOfWork, str, Mapping[str, Any], OneTimeTokenLifetimes], None]
DECISIONS: Mapping[RecoveryKind, Decision] = {
    RecoveryKind.PASSWORD_RESET: _reset,
    RecoveryKind.VERIFICATION: _verify,
    RecoveryKind.REGISTRATION: _register,
}
