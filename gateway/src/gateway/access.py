"""Who may pass: every route needs a verified token of a live session, unless the table says otherwise."""

from aiohttp import hdrs, web

from gateway.routes import SAFE, Access, Route
from service_chassis.aio import LoopVerifier
from service_chassis.errors import Unauthenticated
from service_chassis.revocation import RevocationList, RevocationsStale, SessionEnded


class OpaqueToken(Unauthenticated):
    """Tokens of this kind are not accepted; sign in for a bearer token."""


class Guard:
    def __init__(self, verifier: LoopVerifier, revocations: RevocationList) -> None:
        self._verifier = verifier
        self._revocations = revocations

    async def admit(self, request: web.Request, route: Route) -> None:
        """Let a request pass; raises Unauthenticated, RevocationsStale, KeysUnavailable."""
        if route.access is Access.PUBLIC:
            return
        principal = await self._verifier.verify(_bearer_token(request))
        if self._revocations.is_revoked(principal):
            raise SessionEnded
        matters = request.method not in SAFE or route.access is Access.ADMINISTRATIVE
        if matters and not self._revocations.fresh:
            raise RevocationsStale(retry_after=1)


def _bearer_token(request: web.Request) -> str:
    scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    match scheme.lower():
        case "bearer" if token.isascii() and token.isprintable() and " " not in token and token:
            return token
        case "token":
            raise OpaqueToken
        case _:
            raise Unauthenticated
