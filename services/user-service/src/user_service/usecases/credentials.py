"""Changing what one signs in with: the password, and the address by which it is reset."""

from datetime import timedelta
from uuid import UUID

from service_chassis.unit_of_work import Units
from user_service.messaging import publications
from user_service.model.device import ANYWHERE, Client
from user_service.model.email import normalised_email
from user_service.model.errors import InvalidOneTimeToken, WrongPassword
from user_service.model.one_time_token import OneTimeTokenLifetimes, Purpose
from user_service.model.password_policy import PasswordPolicy
from user_service.model.passwords import Passwords
from user_service.model.user import User
from user_service.persistence.unit_of_work import UnitOfWork
from user_service.usecases import proof, throttling
from user_service.usecases.notifying import notify, notify_address
from user_service.usecases.one_time_tokens import redeem, redeem_by_address
from user_service.usecases.throttling import Attempts
from user_service.usecases.tokens import TokenPair, Tokens

UNDO_WITHIN = timedelta(days=7)
"""How long the old address can take a change of address back."""


class Credentials:
    """Changes passwords and addresses; hashing goes on outside any transaction, as at sign-in."""

    def __init__(
        self,
        units: Units[UnitOfWork],
        passwords: Passwords,
        policy: PasswordPolicy,
        *,
        tokens: Tokens,
        attempts: Attempts,
        lifetimes: OneTimeTokenLifetimes,
    ) -> None:
        self._units = units
        self._passwords = passwords
        self._policy = policy
        self._tokens = tokens
        self._attempts = attempts
        self._lifetimes = lifetimes

    def change_password(self, user_id: UUID, current: str, new: str, client: Client) -> TokenPair:
        """Change the password of somebody who knows it: all sessions end, and a new one starts here.

        Raises WrongPassword, WeakPassword, TooManyAttempts.
        """
        user = self._proven(user_id, current)
        self._policy.check(new, user.email)
        password_hash = self._passwords.hash(new)
        self._tokens.keys.at_hand()
        with self._units.write() as uow:
            changed = self._unchanged(uow, user)
            self._set_password(uow, changed, password_hash, by=str(user_id))
            return self._tokens.start(uow, changed, client)

    def reset_password(self, token: str, new: str) -> None:
        """Set a new password by a token from the mail: all sessions end, none starts.

        Raises InvalidOneTimeToken, WeakPassword.
        """
        with self._units.read() as uow:
            user = uow.users.get(uow.one_time_tokens.holder(token, Purpose.RESET_PASSWORD, at=uow.now))
        self._policy.check(new, user.email)
        password_hash = self._passwords.hash(new)
        with self._units.write() as uow:
            user = redeem_by_address(uow, token, Purpose.RESET_PASSWORD)
            if not user.is_active:
                raise InvalidOneTimeToken
            self._prove(uow, user, None)
            self._set_password(uow, user, password_hash, by="password-reset")
            uow.throttles.clear(self._attempts.cleared_by_reset(user.id, user.email))

    def request_email_change(self, user_id: UUID, password: str, email: str, client: Client = ANYWHERE) -> None:
        """Ask the new address to confirm itself, and tell the old one, which stays valid until then.

        Nobody learns whether somebody else has the new address: what the user sees of it is the same. Raises
        InvalidEmail, WrongPassword, TooManyAttempts.
        """
        address = normalised_email(email)
        attempt = self._attempts.of_mail("email-change", address, client, by=user_id)
        user = self._proven(user_id, password)
        with self._units.write() as uow:
            throttling.counted(uow, attempt)
            user = self._unchanged(uow, user)
            if address == user.email:
                return
            uow.one_time_tokens.drop(user.id, [Purpose.CHANGE_EMAIL])
            token = self._issue(uow, user, Purpose.CHANGE_EMAIL, address, self._lifetimes.change_email)
            undo = self._issue(uow, user, Purpose.UNDO_EMAIL_CHANGE, user.email, UNDO_WITHIN)
            if uow.users.by_email(address) is None:
                # To an address that is not the user's yet, and not among what the user was told. The address is sealed,
                # too: no row keeps what erasing the user would not find.
                notify_address(uow, address, "email_change", {}, secrets={"token": token, "email": address})
            notify(uow, user, "email_change_notice", {"email": address}, secrets={"token": undo})
            uow.record(str(user_id), "user_email_change_requested", user)

    def confirm_email_change(self, uow: UnitOfWork, token: str, *, prover: UUID | None = None) -> User:
        """Take the new address. Raises InvalidOneTimeToken, EmailTaken."""
        user, used = redeem(uow, token, Purpose.CHANGE_EMAIL)
        self._take_address(uow, user, used.email, "user_email_changed")
        if user.is_unproven:
            # Nobody has proven the address from before, so nobody there may take it back.
            uow.one_time_tokens.drop(user.id, [Purpose.UNDO_EMAIL_CHANGE])
        self._prove(uow, user, prover)
        return user

    def undo_email_change(self, uow: UnitOfWork, token: str) -> User:
        """Keep the old address, or take it back; whoever asked for the change is signed out.

        With it go the changes that came after, but an address from before can still be taken back. Raises
        InvalidOneTimeToken, EmailTaken.
        """
        user, used = redeem(uow, token, Purpose.UNDO_EMAIL_CHANGE)
        uow.one_time_tokens.drop(user.id, set(Purpose) - {Purpose.UNDO_EMAIL_CHANGE})
        uow.one_time_tokens.drop_issued_since(user.id, Purpose.UNDO_EMAIL_CHANGE, used.created_at)
        self._take_address(uow, user, used.email, "user_email_change_undone")
        self._prove(uow, user, None)
        self._end_sessions(uow, user, "email_change_undone")
        return user

    def _proven(self, user_id: UUID, password: str) -> User:
        """Return a user who knows the password. Raises WrongPassword, TooManyAttempts."""
        attempt = self._attempts.of_user(user_id)
        with self._units.read() as uow:
            user = uow.users.get(user_id)
            throttling.check(uow, attempt)
        right = self._passwords.matches(password, user.password_hash)
        with self._units.write() as uow:
            if right:
                throttling.succeeded(uow, attempt)
                return user
            throttling.failed(uow, attempt)
            uow.record(str(user_id), "authn_password_check_fail", user)
        raise WrongPassword

    def _unchanged(self, uow: UnitOfWork, proven: User) -> User:
        """Return the user locked, if nothing happened since the password was proven. Raises WrongPassword."""
        user = uow.users.locked(proven.id)
        if not user.is_active or user.password_hash != proven.password_hash:
            raise WrongPassword
        return user

    def _set_password(self, uow: UnitOfWork, user: User, password_hash: str, *, by: str) -> None:
        user.take_password(password_hash)
        # Whoever had the old password may have asked for another address, too; what takes that back stays.
        uow.one_time_tokens.drop(user.id, [Purpose.RESET_PASSWORD, Purpose.CHANGE_EMAIL])
        self._end_sessions(uow, user, "password_changed")
        uow.record(by, "authn_password_change", user)
        notify(uow, user, "password_changed", {})

    def _prove(self, uow: UnitOfWork, user: User, prover: UUID | None) -> None:
        proof.of_address(uow, user, prover=prover, tokens_live=self._tokens.rules.lifetime)

    def _take_address(self, uow: UnitOfWork, user: User, email: str, action: str) -> None:
        if not user.is_active:
            raise InvalidOneTimeToken
        if user.email == email:
            return
        uow.users.readdress(user, email)
        user.email_verified_at = uow.now
        # Tokens that went to the old address speak for it no longer.
        uow.one_time_tokens.drop(user.id, [Purpose.RESET_PASSWORD, Purpose.VERIFY_EMAIL])
        uow.record(str(user.id), action, user)
        uow.publish(publications.user_updated(user))

    def _end_sessions(self, uow: UnitOfWork, user: User, reason: str) -> None:
        uow.sessions.end_all([user.id], reason=reason, at=uow.now, tokens_live=self._tokens.rules.lifetime)

    def _issue(self, uow: UnitOfWork, user: User, purpose: Purpose, email: str, lifetime: timedelta) -> str:
        return uow.one_time_tokens.issue(user.id, purpose, email, at=uow.now, lifetime=lifetime)
