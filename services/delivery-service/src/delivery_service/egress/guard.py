"""Connections that lead only where the rules permit.

Every address a name resolves to is vetted, and once more each address a socket is about to be opened to, so that
nothing lies between the vetting and the connecting.
"""

import socket
from ipaddress import ip_address

from aiohttp import TCPConnector, ThreadedResolver
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import AddrInfoType

from delivery_service.egress.rules import EgressRules

KEPT_ALIVE = 30.0
"""Seconds an idle connection is kept."""


class AddressBlocked(OSError):
    """A name leads to an address that nothing is sent to; an OSError, as connectors expect of resolvers."""


class GuardedResolver(AbstractResolver):
    """Refuses a name if any of its addresses is refused: which one were used would be the name owner's choice."""

    def __init__(self, rules: EgressRules, lookup: AbstractResolver) -> None:
        self._rules = rules
        self._lookup = lookup

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._lookup.resolve(host, port, family)
        for record in found:
            vet(self._rules, record["host"], port)
        return found

    async def close(self) -> None:
        await self._lookup.close()


def vet(rules: EgressRules, host: str, port: int) -> None:
    """Raise AddressBlocked where no connection may be opened to."""
    if not rules.permits(ip_address(host), port):
        raise AddressBlocked(f"{host} port {port} is not public.")


def guarded_connector(rules: EgressRules, lookup: AbstractResolver | None = None) -> TCPConnector:
    """Return a connector under the rules; how many connections there are is its user's business."""

    def opened(address: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, target = address
        vet(rules, str(target[0]), int(target[1]))
        return socket.socket(family, kind, protocol)

    return TCPConnector(
        resolver=GuardedResolver(rules, lookup or ThreadedResolver()),
        socket_factory=opened,
        use_dns_cache=False,
        limit=0,
        keepalive_timeout=KEPT_ALIVE,
    )
