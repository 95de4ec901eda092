"""Mails to a server, over a connection that is kept while there are more of them."""

import smtplib
import ssl
from contextlib import ExitStack, suppress
from email.message import EmailMessage
from urllib.parse import SplitResult, unquote, urlsplit
from uuid import UUID

from delivery_service.model.errors import MailPostponed, MailRefused

PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}


class SmtpServer:
    """`smtps` is TLS from the first byte and `smtp+starttls` insists on it; `smtp` takes it where it is offered.

    A password is never sent without TLS.
    """

    def __init__(self, url: str, timeout: float) -> None:
        self._url = urlsplit(url)
        self._timeout = timeout
        self._context = ssl.create_default_context()
        self._connection: smtplib.SMTP | None = None

    def send(self, _: UUID, message: EmailMessage) -> None:
        """Hand a mail over. Raises MailRefused, MailPostponed."""
        try:
            self._connected().send_message(message)
        except (smtplib.SMTPException, OSError, ValueError) as error:
            self._hang_up()
            raise _translated(error) from error

    def close(self) -> None:
        """Leave the server; the next mail connects anew."""
        if self._connection is not None:
            with suppress(smtplib.SMTPException, OSError):
                self._connection.quit()
        self._hang_up()

    def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _connected(self) -> smtplib.SMTP:
        if self._connection is not None:
            with suppress(smtplib.SMTPException, OSError):
                # What a server closes after a while is noticed here, where no mail is under way yet.
                if self._connection.noop()[0] == 250:
                    return self._connection
            self._hang_up()
        self._connection = connection = self._connect(self._url)
        return connection

    def _connect(self, url: SplitResult) -> smtplib.SMTP:
        host, port = str(url.hostname), url.port or PORTS[url.scheme]
        if url.scheme == "smtps":
            connection: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=self._timeout, context=self._context)
        else:
            connection = smtplib.SMTP(host, port, timeout=self._timeout)
        with ExitStack() as if_refused:
            if_refused.callback(connection.close)
            self._introduce(connection, url)
            if_refused.pop_all()
        return connection

    def _introduce(self, connection: smtplib.SMTP, url: SplitResult) -> None:
        connection.ehlo()
        secure = url.scheme == "smtps"
        if not secure and (url.scheme == "smtp+starttls" or connection.has_extn("starttls")):
            connection.starttls(context=self._context)
            connection.ehlo()
            secure = True
        if url.username:
            if not secure:
                raise smtplib.SMTPNotSupportedError("The server offers no TLS, and the password stays here.")
            connection.login(unquote(url.username), unquote(url.password or ""))


def _translated(error: Exception) -> MailRefused | MailPostponed:
    """Return what a failure means: only what was said of this recipient or this mail, for good, refuses it."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, answer = next(iter(error.recipients.values()))
        return _answered(code, answer)
    if isinstance(error, smtplib.SMTPDataError):
        return _answered(error.smtp_code, error.smtp_error)
    if isinstance(error, smtplib.SMTPResponseException):
        return MailPostponed(_text(error.smtp_code, error.smtp_error))
    return MailPostponed(f"{type(error).__name__}: {error}")


def _answered(code: int, answer: bytes | str) -> MailRefused | MailPostponed:
    kind = MailRefused if code >= 500 else MailPostponed
    return kind(_text(code, answer))


def _text(code: int, answer: bytes | str) -> str:
    return f"{code} {answer.decode(errors='replace') if isinstance(answer, bytes) else answer}"
