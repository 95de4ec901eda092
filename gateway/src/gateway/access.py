"""Who may pass: every route needs a verified token of a live session, unless the table says otherwise."""

from aiohttp import hdrs, web

from gateway.opaque import Exchange
from gateway.routes import SAFE, Access, Route
from service_chassis.aio import LoopVerifier
from service_chassis.errors import Unauthenticated
from service_chassis.revocation import RevocationList, RevocationsStale, SessionEnded

CALLER = web.RequestKey("caller", str)
"""Who is signed in, once that is certain."""


class Guard:
    def __init__(self, verifier: LoopVerifier, revocations: RevocationList, exchange: Exchange) -> None:
        self._verifier = verifier
        self._revocations = revocations
        self._exchange = exchange

    async def admit(self, request: web.Request, route: Route) -> str | None:
        """Let a request pass and return the access token that goes on with it; None leaves the request as it is.

        Raises Unauthenticated, RevocationsStale, KeysUnavailable, ExchangeUnavailable.
        """
        opaque = _token(request, "token")
        if route.access is Access.PUBLIC and opaque is None:
            return None
        token = _bearer_token(request) if opaque is None else await self._exchange.access_token(opaque)
        principal = await self._verifier.verify(token)
        if self._revocations.is_revoked(principal):
            raise SessionEnded
        request[CALLER] = str(principal.subject)
        matters = request.method not in SAFE or route.access is Access.ADMINISTRATIVE
        if matters and not self._revocations.fresh:
            raise RevocationsStale(retry_after=1)
        return token


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
