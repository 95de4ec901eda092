"""Who may pass: every route needs a verified token of a live session, unless the table says otherwise."""

from dataclasses import dataclass

from aiohttp import hdrs, web

from gateway.opaque import Exchange
from gateway.routes import SAFE, Access, Route
from service_chassis.aio import LoopVerifier
from service_chassis.errors import Unauthenticated
from service_chassis.revocation import RevocationList, RevocationsStale, SessionEnded
from service_chassis.tokens import Principal


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and the access token that goes on with the request."""

    principal: Principal
    access_token: str


class Guard:
    def __init__(self, verifier: LoopVerifier, revocations: RevocationList, exchange: Exchange) -> None:
        self._verifier = verifier
        self._revocations = revocations
        self._exchange = exchange

    async def admit(self, request: web.Request, route: Route) -> Caller | None:
        """Let a request pass and return its caller; None of a public route, which leaves the request as it is.

        Raises Unauthenticated, RevocationsStale, KeysUnavailable, ExchangeUnavailable.
        """
        opaque = _token(request, "token")
        if route.access is Access.PUBLIC and opaque is None:
            return None
        token = _bearer_token(request) if opaque is None else await self._exchange.access_token(opaque)
        principal = await self._verifier.verify(token)
        if self._revocations.is_revoked(principal):
            raise SessionEnded
        matters = request.method not in SAFE or route.access is Access.ADMINISTRATIVE
        if matters and not self._revocations.fresh:
            raise RevocationsStale(retry_after=1)
        return Caller(principal, token)

    def note_end(self, caller: Caller) -> None:
        """Refuse the caller's session from now on, which a service has just ended."""
        self._revocations.end(caller.principal)


def _bearer_token(request: web.Request) -> str:
    token = _token(request, "bearer")
    if token is None:
        raise Unauthenticated
    return token


def _token(request: web.Request, scheme: str) -> str | None:
    """Return the token of this scheme that a request comes with."""
    given, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    fits = token.isascii() and token.isprintable() and " " not in token and token
    return token if given.lower() == scheme and fits else None
