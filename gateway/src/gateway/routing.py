"""From a request's target to the route it takes, through one spelling of its path."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes

from gateway.routes import Route
from service_chassis.aio import MethodNotAllowed
from service_chassis.errors import Invalid, NotFound

ANY = "{}"
DISTINCT = 3
"""No route has a variable among its first segments, so these select the few routes to look at."""
BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
PLAIN_IN_SEGMENT = "-._~!$&'()*+,;=:@"


class InvalidPath(Invalid):
    """The path is not written as a path should be."""

    code = "invalid_path"


@dataclass(frozen=True, slots=True)
class Target:
    """What a request asks for: decoded segments for the route, one canonical spelling for the service."""

    segments: tuple[str, ...]
    path: str
    query: str = ""

    @classmethod
    def parse(cls, raw: str) -> "Target":
        """Read a request target. Raises InvalidPath for what services might read in another way than we do."""
        path, _, query = raw.partition("?")
        path = path.removesuffix("/")
        if not path.startswith("/") or not raw.isascii() or "#" in raw or BROKEN_ESCAPE.search(path):
            raise InvalidPath
        segments = tuple(map(_decoded, path[1:].split("/")))
        return cls(segments, _encoded(segments) if "%" in path else path, query)

    def __str__(self) -> str:
        return f"{self.path}?{self.query}" if self.query else self.path


def _encoded(segments: tuple[str, ...]) -> str:
    return "/" + "/".join(quote(segment, safe=PLAIN_IN_SEGMENT) for segment in segments)


def _decoded(part: str) -> str:
    try:
        segment = unquote_to_bytes(part).decode() if "%" in part else part
    except UnicodeDecodeError as error:
        raise InvalidPath from error
    # A slash that appears only after decoding, or a segment that means another place, is one thing to us and may be
    # another to the service.
    if segment.partition(";")[0] in {"", ".", ".."} or "/" in segment or "\\" in segment or not segment.isprintable():
        raise InvalidPath
    return segment


class RouteTable:
    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes: dict[tuple[str, ...], list[tuple[tuple[str, ...], Route]]] = defaultdict(list)
        for route in routes:
            pattern = tuple(route.path[1:].split("/"))
            self._routes[pattern[:DISTINCT]].append((pattern, route))

    def find(self, method: str, target: Target) -> Route:
        """Return the route of a request; raises NotFound, MethodNotAllowed."""
        methods: set[str] = set()
        for pattern, route in self._routes.get(target.segments[:DISTINCT], ()):
            if _fits(pattern, route, target):
                if method in route.methods:
                    return route
                methods |= route.methods
        raise MethodNotAllowed(frozenset(methods)) if methods else NotFound()


def _fits(pattern: tuple[str, ...], route: Route, target: Target) -> bool:
    given = target.segments
    if len(given) < len(pattern) or (route.alone and len(given) > len(pattern)):
        return False
    return all(expected in (ANY, actual) for expected, actual in zip(pattern, given, strict=False))
