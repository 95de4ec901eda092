"""Where requests may go: which URLs, which addresses, which ports.

Customers choose the URLs, and the requests leave from inside: what is not public is refused by its number, whatever
form it is written in, and a name by what it resolves to at the moment of connecting.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from yarl import URL

from delivery_service.model.errors import UrlRefused

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

LONGEST_URL = 2_048
PRINTABLE = re.compile(r"[\x21-\x7e]+")
LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
DOTTED = re.compile(r"(0|[1-9][0-9]{0,2})(\.(0|[1-9][0-9]{0,2})){3}")

NOT_PUBLIC = tuple(
    ip_network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared by carriers (CGNAT)
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local, cloud metadata among it
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarking
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
        "2001::/23",  # protocol assignments: Teredo, benchmarking, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
    )
)
GLOBAL_UNICAST = ip_network("2000::/3")
"""Of IPv6 only this is public; loopback, ULA, link-local, multicast, NAT64 and IPv4 in IPv6 lie outside."""


@dataclass(frozen=True, slots=True)
class EgressRules:
    allowed: tuple[Network, ...] = ()
    """Networks to which requests may go although they are not public, on any port."""
    ports: frozenset[int] = frozenset({80, 443, 8080, 8443})
    https_only: bool = False

    @classmethod
    def allowing(cls, networks: Iterable[str], *, https_only: bool = False) -> "EgressRules":
        """Return the rules with exceptions. Raises ValueError for what is not a network."""
        return cls(tuple(ip_network(network) for network in networks), https_only=https_only)

    def permits(self, address: Address, port: int) -> bool:
        """Say whether a connection to this address and port may be opened."""
        if isinstance(address, IPv6Address) and address.scope_id is not None:
            return False
        if any(address in network for network in self.allowed):
            return True
        return is_public(address) and port in self.ports

    def check(self, url: str) -> URL:
        """Return the URL as it will be used. Raises UrlRefused."""
        parsed = _parsed(url)
        if parsed.scheme != "https" and (self.https_only or parsed.scheme != "http"):
            raise UrlRefused(f"It must begin with {'https' if self.https_only else 'http or https'}.")
        self._check_host(parsed.raw_host or "", parsed.port or 0)
        return parsed

    def _check_host(self, host: str, port: int) -> None:
        address = literal(host)
        if address is not None:
            if not self.permits(address, port):
                raise UrlRefused("This address is not public, or its port is not on the list.")
            return
        _check_name(host)
        # A name may lead into an allowed network, where any port is; that shows at the moment of connecting.
        if port not in self.ports and not self.allowed:
            raise UrlRefused("This port is not on the list.")


def is_public(address: Address) -> bool:
    if isinstance(address, IPv6Address) and address not in GLOBAL_UNICAST:
        return False
    return not any(address in network for network in NOT_PUBLIC)


def literal(host: str) -> Address | None:
    """Return the address that is written as a host, in the one usual form, or None for a name."""
    if ":" not in host and not DOTTED.fullmatch(host):
        return None
    try:
        return ip_address(host)
    except ValueError:
        raise UrlRefused("This is not an address.") from None


def _parsed(url: str) -> URL:
    if not url or len(url) > LONGEST_URL:
        raise UrlRefused(f"A URL has up to {LONGEST_URL} characters.")
    # Programs disagree about where a host ends before a backslash, a space or a control character.
    if "\\" in url or any(character <= " " or character == "\x7f" for character in url):
        raise UrlRefused("A URL has no spaces, control characters or backslashes.")
    try:
        parsed = URL(url)
        usable = parsed.absolute and parsed.raw_host and parsed.port is not None
    except ValueError:
        usable = False
    if not usable:
        raise UrlRefused("This is not an absolute URL.")
    authority = re.split(r"[/?#]", url.partition("://")[2])[0]
    if "@" in authority:
        raise UrlRefused("A URL names no user and no password.")
    if "[" in authority and ":" not in (parsed.raw_host or ""):
        raise UrlRefused("This is not an address.")
    if "#" in url:
        raise UrlRefused("A URL has no fragment.")
    return parsed


def _check_name(host: str) -> None:
    if len(host) > 253 or not PRINTABLE.fullmatch(host):
        raise UrlRefused("This is not the name of a host.")
    labels = host.lower().split(".")
    if not all(LABEL.fullmatch(label) for label in labels):
        raise UrlRefused("This is not the name of a host.")
    # 2130706433, 0x7f.1 and 0177.0.0.1 are numbers that resolvers take for addresses.
    if NUMBER.fullmatch(labels[-1]):
        raise UrlRefused("This is a number, not the name of a host.")
