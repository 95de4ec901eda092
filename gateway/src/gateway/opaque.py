"""Opaque tokens, exchanged at user-service for access tokens that live a minute, so that services see no other kind."""

import asyncio
import hashlib
from collections import OrderedDict
from dataclasses import dataclass

import aiohttp

from gateway.services import NoAnswer, ask
from service_chassis.errors import Unavailable
from service_chassis.tokens import InvalidToken

PATH = "/internal/tokens/exchange"
WITHIN = 2.0
KEPT = 30.0
"""Seconds an access token is used again for the same opaque one; its session may end any time, as every other."""
MOST = 10_000


class ExchangeUnavailable(Unavailable):
    """Tokens of this kind cannot be exchanged right now."""

    code = "exchange_unavailable"


@dataclass(frozen=True, slots=True)
class _Exchanged:
    access_token: asyncio.Task[str]
    until: float


class Exchange:
    """Asks once for all who come with the same token at the same time; remembers tokens by their hashes only."""

    def __init__(self, session: aiohttp.ClientSession, origin: str) -> None:
        self._session = session
        self._url = origin + PATH
        self._known: OrderedDict[bytes, _Exchanged] = OrderedDict()

    async def access_token(self, token: str) -> str:
        """Return an access token for an opaque one; raises InvalidToken, ExchangeUnavailable."""
        digest = hashlib.sha256(token.encode()).digest()
        known = self._known.get(digest)
        if known is None or known.until <= asyncio.get_running_loop().time():
            known = self._remember(digest, token)
        return await asyncio.shield(known.access_token)

    def _remember(self, digest: bytes, token: str) -> _Exchanged:
        exchange = asyncio.create_task(self._exchange(token))
        known = self._known[digest] = _Exchanged(exchange, asyncio.get_running_loop().time() + KEPT)
        exchange.add_done_callback(lambda _: self._forget_failed(digest, known))
        if len(self._known) > MOST:
            self._known.popitem(last=False)
        return known

    def _forget_failed(self, digest: bytes, known: _Exchanged) -> None:
        """Ask anew next time, whether or not anybody still waits for this answer."""
        failed = known.access_token.cancelled() or known.access_token.exception()
        if failed and self._known.get(digest) is known:
            del self._known[digest]

    async def _exchange(self, token: str) -> str:
        try:
            status, granted = await ask(self._session, self._url, WITHIN, body={"token": token})
        except NoAnswer as error:
            raise ExchangeUnavailable(retry_after=1) from error
        if status == 200:
            return str(granted["access_token"])
        raise InvalidToken if status == 401 else ExchangeUnavailable(retry_after=1)
