"""A payload as query parameters, for methods whose requests have no body."""

from urllib.parse import quote, urlencode

import msgspec

QUERY_METHODS = frozenset({"GET", "DELETE"})

_members = msgspec.json.Decoder(dict[str, msgspec.Raw])


def with_query(url: str, payload: bytes) -> str:
    """Return a URL with the members of a JSON object added to its query."""
    query = urlencode(parameters(payload), quote_via=quote)
    if not query:
        return url
    return f"{url}{'&' if '?' in url else '?'}{query}"


def parameters(payload: bytes) -> list[tuple[str, str]]:
    """Return the members of a JSON object as text: strings bare, null empty, everything else as JSON as it came."""
    return [(name, _text(bytes(value))) for name, value in _members.decode(payload).items()]


def _text(value: bytes) -> str:
    if value.startswith(b'"'):
        return str(msgspec.json.decode(value))
    return "" if value == b"null" else value.decode()
