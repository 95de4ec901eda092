"""From what a mail says to the message that carries it."""

import re
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from uuid import UUID

from delivery_service.mailing.templates import Content
from delivery_service.model.errors import MailRefused

LINK = re.compile(r"https?://[^\s<>\"']+")


@dataclass(frozen=True, slots=True)
class Sender:
    """Who mails come from, and where people choose which ones they get."""

    mail_from: str
    preferences_url: str

    def message(
        self, mail_id: UUID, recipient: str, name: str, content: Content, *, at: datetime, optional: bool
    ) -> EmailMessage:
        """Return the message of a mail; every attempt has the same id. Raises MailRefused."""
        message = EmailMessage(policy=SMTP)
        domain = parseaddr(self.mail_from)[1].rpartition("@")[2] or "localhost"
        try:
            message["From"] = self.mail_from
            message["To"] = Address(" ".join(name.split()), addr_spec=recipient)
        except (ValueError, IndexError) as error:
            raise MailRefused("The address of the recipient is none.") from error
        message["Subject"] = content.subject
        message["Date"] = format_datetime(at)
        message["Message-ID"] = f"<{mail_id}@{domain}>"
        message["Auto-Submitted"] = "auto-generated"
        if optional:
            message["List-Unsubscribe"] = f"<{self.preferences_url}>"
        message.set_content(content.text)
        message.add_alternative(content.html, subtype="html")
        return message


def links(text: str) -> list[str]:
    """Return the addresses a text leads to, each once."""
    return list(dict.fromkeys(link.rstrip(".,)") for link in LINK.findall(text)))
