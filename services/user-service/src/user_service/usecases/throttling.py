"""Guesses are counted, and slow down whoever makes many; nobody learns from it whether there is anything to guess."""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address, ip_network
from uuid import UUID

from user_service.model.device import Client
from user_service.model.email import normalised_email
from user_service.model.errors import TooManyAttempts
from user_service.model.throttle import (
    ACCOUNT,
    ACCOUNT_BY_DEVICES,
    ADDRESS,
    ADDRESS_BY_DEVICES,
    MAILS_BY,
    MAILS_FROM,
    MAILS_TO,
    NOTIFICATIONS_BY,
    NOTIFICATIONS_TO,
    REGISTRATION,
    Pace,
)
from user_service.persistence.unit_of_work import UnitOfWork

NETWORK_V6 = 64
"""Bits of an IPv6 address that name a network; whoever has one has all addresses in it."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One guess: what it is counted under, and which of that a success clears."""

    paces: Mapping[str, Pace]
    cleared: frozenset[str]


UNLIMITED = Attempt({}, frozenset())


@dataclass(frozen=True, slots=True)
class Attempts:
    """Tells what an attempt is counted under: keyed hashes, so that the rows do not say who was tried."""

    key: bytes

    def of_account(self, account: str, client: Client) -> Attempt:
        """Return a guess at an account, by whatever name it was called and whether or not it exists."""
        account_key = self.account_key(account)
        return Attempt({account_key: ACCOUNT, **self._of_address(client)}, frozenset({account_key}))

    def of_device(self, device: str, account: str, client: Client) -> Attempt:
        """Return a guess made on a device the user is known on, which the failures of strangers do not slow down.

        It counts for all known devices of the account and of the address, too, so that many are not worth many times
        the guesses.
        """
        device_key, devices_key = self._hashed("device", device), self.devices_key(account)
        at_address = dict.fromkeys(self._of_address(client, "devices"), ADDRESS_BY_DEVICES)
        paces = {device_key: ACCOUNT, devices_key: ACCOUNT_BY_DEVICES, **at_address}
        return Attempt(paces, frozenset({device_key, devices_key}))

    def of_user(self, user_id: UUID) -> Attempt:
        """Return a guess at the password of somebody who is signed in."""
        user_key = self._hashed("user", str(user_id))
        return Attempt({user_key: ACCOUNT}, frozenset({user_key}))

    def of_address(self, purpose: str, client: Client) -> Attempt:
        """Return something that is counted by where it comes from alone, apart from other purposes."""
        return Attempt(self._of_address(client, purpose), frozenset())

    def of_registration(self, client: Client) -> Attempt:
        """Return a registration, which is counted whatever comes of it."""
        keys = self._of_address(client, "registrations")
        return Attempt(dict.fromkeys(keys, REGISTRATION), frozenset())

    def of_mailbox(self, kind: str, email: str) -> Attempt:
        """Return a request that may have a mail sent to an address, which is counted under it whatever comes of it.

        Each kind counts by itself, so that nobody's reset has to wait because of invitations. Raises InvalidEmail.
        """
        return Attempt({self._hashed(f"{kind}-to", normalised_email(email)): MAILS_TO}, frozenset())

    def of_mail(self, kind: str, email: str, client: Client, *, by: UUID) -> Attempt:
        """Return such a request by somebody who is signed in; it is counted under who and where that is, too.

        Raises InvalidEmail.
        """
        sender = {self._hashed(f"{kind}-by", str(by)): MAILS_BY}
        return Attempt({**self.of_mailbox(kind, email).paces, **sender, **self._mails_from(kind, client)}, frozenset())

    def of_invitation(self, email: str, client: Client) -> Attempt:
        """Return an invitation, of which an account and a sender have a number a day. Raises InvalidEmail."""
        paces = {**self.of_mailbox("invitation", email).paces, **self._mails_from("invitation", client)}
        return Attempt(paces, frozenset())

    def of_notification(self, to: UUID, client: Client, *, by: UUID) -> Attempt:
        """Return a notification that a person asks for."""
        at_address = dict.fromkeys(self._of_address(client, "notifications"), NOTIFICATIONS_BY)
        paces = {
            self._hashed("notification-to", str(to)): NOTIFICATIONS_TO,
            self._hashed("notification-by", str(by)): NOTIFICATIONS_BY,
        }
        return Attempt({**paces, **at_address}, frozenset())

    def cleared_by_reset(self, user_id: UUID, account: str) -> frozenset[str]:
        """Return what is counted at an account, whose user a new password by mail lets in again."""
        return self.of_user(user_id).cleared | {self.account_key(account), self.devices_key(account)}

    def account_key(self, account: str) -> str:
        return self._hashed("account", account)

    def devices_key(self, account: str) -> str:
        return self._hashed("account-devices", account)

    def _mails_from(self, kind: str, client: Client) -> Mapping[str, Pace]:
        return dict.fromkeys(self._of_address(client, f"{kind}-from"), MAILS_FROM)

    def _of_address(self, client: Client, purpose: str = "address") -> Mapping[str, Pace]:
        return {} if client.address is None else {self._hashed(purpose, _network(client.address)): ADDRESS}

    def _hashed(self, kind: str, value: str) -> str:
        message = f"{kind}:{value}".encode(errors="surrogatepass")
        return f"{kind}:{hmac.digest(self.key, message, hashlib.sha256).hex()}"


def check(uow: UnitOfWork, attempt: Attempt) -> set[str]:
    """Return the keys under which failures are counted, if the attempt may be made. Raises TooManyAttempts."""
    throttles = uow.throttles.of(attempt.paces.keys())
    _admit((throttle.blocked_until for throttle in throttles), uow)
    return {throttle.key for throttle in throttles}


def failed(uow: UnitOfWork, attempt: Attempt) -> None:
    """Count a failure. Raises TooManyAttempts where others failed meanwhile: nobody learns that this one did, too."""
    throttles = uow.throttles.locked(attempt.paces.keys())
    _admit((throttle.blocked_until for throttle in throttles), uow)
    for throttle in throttles:
        throttle.fails(attempt.paces[throttle.key], at=uow.now)


def counted(uow: UnitOfWork, attempt: Attempt) -> None:
    """Count something that is limited also when it succeeds. Raises TooManyAttempts."""
    failed(uow, attempt)


def succeeded(uow: UnitOfWork, attempt: Attempt) -> None:
    """Forget the failures before a success. Raises TooManyAttempts where others failed meanwhile."""
    counted = check(uow, attempt) & attempt.cleared
    if counted:
        uow.throttles.clear(counted)


def forget(uow: UnitOfWork) -> bool:
    """Delete throttles nobody has to wait for any more; say whether there may be more."""
    return uow.throttles.forget(uow.now)


def _admit(blocked_until: Iterable[datetime], uow: UnitOfWork) -> None:
    wait = (max(blocked_until, default=uow.now) - uow.now).total_seconds()
    if wait > 0:
        raise TooManyAttempts(retry_after=wait)


def _network(address: str) -> str:
    """Return what stands for everybody who shares an address."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    return str(ip_network((parsed, NETWORK_V6), strict=False)) if parsed.version == 6 else str(parsed)
