"""Which headers pass, in either direction; who calls is said by the token alone."""

from collections.abc import Iterable, Mapping

from aiohttp import HttpVersion11, hdrs, web
from multidict import CIMultiDict, MultiMapping

from gateway.proxies import ADDRESS, SCHEME
from service_chassis import gateway_secret
from service_chassis.aio import HeadersTooLarge
from service_chassis.correlation import Correlation
from service_chassis.errors import Invalid

LARGEST = 8_192
SEPARATORS = len(": \r\n")
HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
NOT_PASSED_IN = HOP_BY_HOP | {
    "expect",
    "forwarded",
    "host",
    "traceparent",
    "via",
    "x-correlation-id",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-real-ip",
    "x-request-deadline-ms",
}
"""Ours to say, or ours to act on."""
IDENTITY = (
    "remote-",
    "x-account",
    "x-auth",
    "x-client",
    "x-consumer",
    "x-forwarded",
    "x-gateway",
    "x-identity",
    "x-internal",
    "x-original",
    "x-principal",
    "x-remote",
    "x-rewrite",
    "x-role",
    "x-service",
    "x-session",
    "x-subject",
    "x-tenant",
    "x-user",
)
"""How names begin by which, in some system or other, requests say who they are or where they come from."""
NOT_PASSED_OUT = HOP_BY_HOP | {"server", "x-correlation-id", "x-powered-by"}
SINGLE = (hdrs.AUTHORIZATION, "Idempotency-Key", "X-Request-ID")
"""Headers that services read one of; which one must not be left to chance."""


class InvalidHeader(Invalid):
    """A header of the request is not valid."""

    code = "invalid_header"


def check(request: web.Request) -> None:
    """Refuse headers that are too large, or that services may read in another way; raises ServiceError."""
    size = 0
    for name, value in request.raw_headers:
        size += len(name) + len(value) + SEPARATORS
        if not value.isascii():
            _check_text(value)
    if size > LARGEST:
        raise HeadersTooLarge
    if request.version < HttpVersion11 and hdrs.TRANSFER_ENCODING in request.headers:
        # HTTP/1.0 knows no such header, so the next one to read the request may see another end of it.
        raise InvalidHeader("Transfer-Encoding needs HTTP/1.1.")
    for single in SINGLE:
        if len(request.headers.getall(single, ())) > 1:
            raise InvalidHeader(f"{single} may be given once.")


def passed_in(headers: MultiMapping[str]) -> CIMultiDict[str]:
    """Return what of a request's headers goes on to the service."""
    dropped = NOT_PASSED_IN | _named(headers.getall(hdrs.CONNECTION, ()))
    return CIMultiDict((name, value) for name, value in headers.items() if _passes(name.lower(), dropped))


def _passes(name: str, dropped: frozenset[str]) -> bool:
    # WSGI makes one name of X-User-Id and X_User_Id, and some servers of X.User.Id as well: a name with anything but
    # letters, digits and hyphens could become another one on its way.
    plain = name.isascii() and name.replace("-", "").isalnum()
    return plain and name not in dropped and not name.startswith(IDENTITY)


def origin(request: web.Request, ids: Correlation, secret: str) -> Mapping[str, str]:
    """Return what the gateway itself says to the service about where a request comes from."""
    said = {
        gateway_secret.HEADER: secret,
        "X-Forwarded-For": request[ADDRESS],
        "X-Forwarded-Proto": request[SCHEME],
        "X-Forwarded-Host": request.headers.get(hdrs.HOST, ""),
        "X-Correlation-ID": ids.correlation_id,
    }
    return {**said, "traceparent": ids.traceparent} if ids.traceparent else said


def passed_out(headers: MultiMapping[str]) -> CIMultiDict[str]:
    """Return what of an answer's headers goes on to the client."""
    dropped = NOT_PASSED_OUT | _named(headers.getall(hdrs.CONNECTION, ()))
    return CIMultiDict((name, value) for name, value in headers.items() if _leaves(name.lower(), dropped))


def _leaves(name: str, dropped: frozenset[str]) -> bool:
    return name not in dropped and not name.startswith("access-control-")


def _named(connection: Iterable[str]) -> frozenset[str]:
    """Return the headers that the Connection header says are for one hop only (RFC 9110, section 7.6.1)."""
    return frozenset(name.strip().lower() for value in connection for name in value.split(","))


def _check_text(value: bytes) -> None:
    """Refuse what is not UTF-8: the framework keeps such bytes as surrogates, which cannot be sent on."""
    try:
        value.decode()
    except UnicodeDecodeError as error:
        raise InvalidHeader from error
