"""Getting in again, and changing what one gets in with."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from flask import Response

from service_chassis import answers
from service_chassis.http import Blueprint, caller, caller_if_any, public, takes_no_key
from service_chassis.http.encoding import json_response
from user_service.http import origin
from user_service.http.auth import kept_in_cookies
from user_service.http.auth_schemas import (
    EmailBody,
    EmailChangeBody,
    OneTimeTokenBody,
    PasswordChangeBody,
    PasswordResetBody,
    TokensView,
    VerifiedView,
)
from user_service.http.dependencies import parts, uow
from user_service.model.recovery import RecoveryKind
from user_service.model.user import User
from user_service.usecases import recovery as use_cases
from user_service.usecases import registration
from user_service.usecases.throttling import Attempt

CHECK_MAIL = "Check your mail"

recovery = Blueprint("recovery", __name__, url_prefix="/api/v1/auth", description="Passwords and addresses.")


@recovery.route("/verify-email", methods=["POST"])
@recovery.arguments(OneTimeTokenBody)
@recovery.response(200, VerifiedView, description="Address confirmed")
@public
@takes_no_key
def verify_email(body: Mapping[str, Any]) -> User:
    """Confirm an e-mail address by the token that was sent there.

    Without a session of the user, whose the address has not been until now, all that whoever registered left ends:
    sessions, known devices, push token, pending changes, other members of the account, and its token.
    """
    live = parts().settings.access_token_lifetime
    return use_cases.verify_email(uow(), body["token"], tokens_live=live, prover=prover())


@recovery.route("/verify-email/resend", methods=["POST"])
@recovery.arguments(EmailBody)
@recovery.response(202, description=CHECK_MAIL)
@public
@takes_no_key
def resend(body: Mapping[str, Any]) -> None:
    """Ask for another mail to confirm an address; the answer is the same for addresses nobody has."""
    ask_for_mail(RecoveryKind.VERIFICATION, body["email"])


@recovery.route("/password-reset", methods=["POST"])
@recovery.arguments(EmailBody)
@recovery.response(202, description=CHECK_MAIL)
@public
@takes_no_key
def request_reset(body: Mapping[str, Any]) -> None:
    """Ask for a mail to set a new password; the answer is the same for addresses nobody has."""
    ask_for_mail(RecoveryKind.PASSWORD_RESET, body["email"])


@recovery.route("/password-reset/confirm", methods=["POST"])
@recovery.arguments(PasswordResetBody)
@recovery.response(200, description="Password changed")
@public
@takes_no_key
def confirm_reset(body: Mapping[str, Any]) -> None:
    """Set a new password by the token from the mail; all sessions end."""
    parts().credentials.reset_password(body["token"], body["password"])


@recovery.route("/password", methods=["POST"])
@recovery.arguments(PasswordChangeBody)
@recovery.response(200, TokensView, description="Password changed")
@takes_no_key
def change_password(body: Mapping[str, Any]) -> Any:
    """Change the own password; all sessions end, and the answer holds the tokens of a new one.

    A browser that signed in with cookies gets them as it did then.
    """
    credentials = parts().credentials
    current, new = body["current_password"], body["password"]
    tokens = credentials.change_password(caller().subject, current, new, origin.client())
    return kept_in_cookies(tokens) if origin.remembers() else tokens


@recovery.route("/email-change", methods=["POST"])
@recovery.arguments(EmailChangeBody)
@recovery.response(202, description=CHECK_MAIL)
@takes_no_key
def request_email_change(body: Mapping[str, Any]) -> None:
    """Ask for another e-mail address, which has to be confirmed from there; the old one is told."""
    asker, password, email = caller().subject, body["password"], body["email"]
    parts().credentials.request_email_change(asker, password, email, origin.client())


@recovery.route("/email-change/confirm", methods=["POST"])
@recovery.arguments(OneTimeTokenBody)
@recovery.response(200, VerifiedView, description="Address changed")
@public
@takes_no_key
def confirm_email_change(body: Mapping[str, Any]) -> User:
    """Take a new address by the token that was sent there."""
    return parts().credentials.confirm_email_change(uow(), body["token"], prover=prover())


@recovery.route("/email-change/undo", methods=["POST"])
@recovery.arguments(OneTimeTokenBody)
@recovery.response(200, VerifiedView, description="Address kept")
@public
@takes_no_key
def undo_email_change(body: Mapping[str, Any]) -> User:
    """Keep or take back the old address by the token that was sent there; all sessions end."""
    return parts().credentials.undo_email_change(uow(), body["token"])


def sign_up(email: str, password_hash: str, details: dict[str, Any]) -> dict[str, User] | Response:
    """Register who came by themselves: at once, or by the worker where addresses have to be confirmed first."""
    settings = parts().settings
    if settings.require_email_verification:
        kept = {"password_hash": password_hash, **details}
        ask_for_mail(RecoveryKind.REGISTRATION, email, kept)
        return json_response(answers.success(None, CHECK_MAIL), 202)
    registration.check_not_taken(uow(), email, attempt("registration"))
    lifetimes = settings.one_time_tokens
    return {"user": registration.sign_up(uow(), email, password_hash=password_hash, lifetimes=lifetimes, **details)}


def ask_for_mail(kind: RecoveryKind, email: str, details: Mapping[str, Any] | None = None) -> None:
    """Keep a request about an address, within what its owner and those who ask from one place may be mailed."""
    mailbox = parts().attempts.of_mailbox(kind, email)
    use_cases.request(uow(), kind, email, attempt("recovery"), details, mailbox=mailbox)


def prover() -> UUID | None:
    """Return who uses a token that was mailed, where that comes from a session."""
    principal = caller_if_any()
    return None if principal is None else principal.subject


def attempt(purpose: str) -> Attempt:
    """Return what is counted by the address it comes from."""
    return parts().attempts.of_address(purpose, origin.client())
