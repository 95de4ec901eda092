"""Where a request comes from: what the connection says, or what proxies of ours in front of the gateway say."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from service_chassis.settings import Network

ADDRESS = web.RequestKey("address", str)
SCHEME = web.RequestKey("scheme", str)


class Proxies:
    """The middleware that finds out, once for all who ask; the word of anybody else counts nothing."""

    def __init__(self, trusted: Sequence[Network]) -> None:
        self._trusted = trusted

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Note the client's address and scheme on the request."""
        request[ADDRESS] = address = self._address(request)
        through_proxy = address != _plain(request.remote)
        said = request.headers.get(hdrs.X_FORWARDED_PROTO, "") if through_proxy else ""
        request[SCHEME] = said if said in {"http", "https"} else request.scheme
        return await handler(request)

    def _address(self, request: web.Request) -> str:
        """Return the last address on the way here that is none of our proxies."""
        hops = [_plain(request.remote)]
        if self._trusted:
            # Some proxies add a line of their own below one that the client may have written.
            said = ",".join(request.headers.getall(hdrs.X_FORWARDED_FOR, []))
            hops += reversed([_plain(hop.strip()) for hop in said.split(",")])
        address = hops[0]
        for hop in hops:
            value = parsed(hop)
            if value is None:
                break
            address = hop
            if not any(value in network for network in self._trusted):
                break
        return address


def _plain(address: str | None) -> str:
    """Return an address as it always looks; one of IPv4 may have come in over a socket for both."""
    return (address or "unknown").removeprefix("::ffff:")


def parsed(address: str) -> IPv4Address | IPv6Address | None:
    """Return an address as a value, or None for what is none."""
    try:
        return ip_address(address)
    except ValueError:
        return None
