"""The answers to writes that carried an idempotency key: one row each, written with the effect it tells of."""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import ColumnElement, delete, select, tuple_, update
from sqlalchemy.orm import Session

from service_chassis.database.engine import LockTimeout, translated_errors
from service_chassis.database.statements import changed, insert_new
from service_chassis.errors import Conflict, Unprocessable
from service_chassis.messaging.tables import idempotency_keys


class InProgress(Conflict):
    """The first request with this idempotency key is still being worked on."""

    code = "in_progress"


class KeyReused(Unprocessable):
    """This idempotency key was used for another request."""

    code = "idempotency_key_reused"


class StoredAnswer(msgspec.Struct, frozen=True):
    status: int
    headers: list[tuple[str, str]]
    body: bytes


@dataclass(frozen=True, slots=True)
class Claim:
    """One request's use of a key: who asks for what under which key, and a fingerprint of the request itself."""

    scope: str
    key: str
    fingerprint: str

    @property
    def row(self) -> ColumnElement[bool]:
        return (idempotency_keys.c.scope == self.scope) & (idempotency_keys.c.key == self.key)


class AnswerStore:
    """Keeps answers encrypted, because they may hold secrets, and tells bodies apart without keeping them."""

    def __init__(self, secret: str) -> None:
        self._fingerprint_key = _derived(secret, "idempotency-fingerprints")
        self._cipher = Fernet(urlsafe_b64encode(_derived(secret, "idempotency-answers")))

    def fingerprint(self, request: bytes) -> str:
        """Return what tells one request from another; without the secret nobody can try out what a body was."""
        return hmac.digest(self._fingerprint_key, request, hashlib.sha256).hex()

    def claim(self, session: Session, claim: Claim, now: datetime) -> StoredAnswer | None:
        """Take a key for the present transaction, or return what was answered under it.

        Where another transaction has just taken it, this one waits for its end. Raises InProgress, KeyReused.
        """
        row: dict[str, list[Any]] = {
            "scope": [claim.scope],
            "key": [claim.key],
            "fingerprint": [claim.fingerprint],
            "created_at": [now],
        }
        try:
            with translated_errors():
                taken = insert_new(session, idempotency_keys, row, idempotency_keys.c.key)
        except LockTimeout as error:
            raise InProgress(retry_after=1) from error
        return None if taken else self._answer(session, claim)

    def keep(self, session: Session, claim: Claim, answer: StoredAnswer) -> None:
        """Remember the answer, which commits with the effect."""
        sealed = self._cipher.encrypt(msgspec.json.encode(answer)).decode()
        session.execute(update(idempotency_keys).where(claim.row).values(status=answer.status, answer=sealed))

    def release(self, session: Session, claim: Claim) -> None:
        """Give a key back, because what follows is no answer to keep."""
        session.execute(delete(idempotency_keys).where(claim.row))

    def _answer(self, session: Session, claim: Claim) -> StoredAnswer:
        row = session.execute(select(idempotency_keys).where(claim.row)).one_or_none()
        if row is None or row.answer is None:
            raise InProgress(retry_after=1)
        if not hmac.compare_digest(row.fingerprint, claim.fingerprint):
            raise KeyReused
        return msgspec.json.decode(self._cipher.decrypt(row.answer.encode()), type=StoredAnswer)


def forget_keys(session: Session, before: datetime, limit: int = 5_000) -> int:
    """Delete keys and answers older than an instant, oldest first; return how many."""
    key = (idempotency_keys.c.scope, idempotency_keys.c.key)
    created_at = idempotency_keys.c.created_at
    old = select(*key).where(created_at < before).order_by(created_at).limit(limit)
    return changed(session, delete(idempotency_keys).where(tuple_(*key).in_(old)))


def _derived(secret: str, purpose: str) -> bytes:
    return HKDF(hashes.SHA256(), 32, salt=None, info=purpose.encode()).derive(secret.encode())
