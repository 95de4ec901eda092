"""Mails as files, where there is no server to take them: one `.eml` each, named after its notification."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from uuid import UUID

from delivery_service.mailing.message import links
from delivery_service.model.errors import MailPostponed

SHOWN = 100


@dataclass(frozen=True, slots=True)
class MailFolder:
    path: Path

    def send(self, mail_id: UUID, message: EmailMessage) -> None:
        """Write the file of a mail, whole or not at all. Raises MailPostponed."""
        target = self._file(mail_id)
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            partial = target.with_suffix(".part")
            with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(message.as_bytes())
            partial.replace(target)
        except OSError as error:
            raise MailPostponed(f"The file cannot be written: {error.strerror}.") from error

    def close(self) -> None:
        """Do nothing; a server would be left."""

    def newest(self) -> list[dict[str, Any]]:
        """Return the mails as people read them, the newest first."""
        files = sorted(self.path.glob("*.eml"), key=lambda file: file.name, reverse=True)
        return [_shown(file.read_bytes()) for file in files[:SHOWN]]

    def text(self, mail_id: UUID) -> str | None:
        """Return the text of a mail, or None where there is no file of it."""
        file = self._file(mail_id)
        return str(_shown(file.read_bytes())["text"]) if file.exists() else None

    def remove(self, mail_ids: Iterable[UUID]) -> None:
        for mail_id in mail_ids:
            self._file(mail_id).unlink(missing_ok=True)

    def forget(self, before: datetime) -> None:
        """Delete the files that were written before an instant."""
        for file in self.path.glob("*.eml"):
            if file.stat().st_mtime < before.timestamp():
                file.unlink(missing_ok=True)

    def _file(self, mail_id: UUID) -> Path:
        return self.path / f"{mail_id}.eml"


def _shown(content: bytes) -> dict[str, Any]:
    message: Any = message_from_bytes(content, policy=policy.default)
    text = message.get_body(("plain",)).get_content()
    to = message["To"].addresses[0].addr_spec
    return {
        "to": to,
        "subject": str(message["Subject"]),
        "text": text,
        "html": message.get_body(("html",)).get_content(),
        "links": links(text),
    }
