"""Headers that customers add to what is sent to them."""

import re
from collections.abc import Mapping

from delivery_service.model.errors import HeaderRefused

MOST = 50
LONGEST_VALUE = 4_096
NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,128}")
VALUE = re.compile(r"[\x20-\x7e]*")
RESERVED = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "via",
    }
)
"""What decides how a request is read, and what we say of ourselves."""
RESERVED_PREFIXES = ("webhook-", "proxy-", "x-forwarded-")
MASK = "********"


def checked(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers as they will be sent. Raises HeaderRefused, which names each that will not."""
    if len(headers) > MOST:
        raise HeaderRefused(f"There can be up to {MOST} headers.")
    faults = {name: fault for name, value in headers.items() if (fault := _fault(name, value))}
    names = [name.lower() for name in headers]
    faults |= {name: "It is given twice." for name in headers if names.count(name.lower()) > 1}
    if faults:
        raise HeaderRefused(fields={"headers": faults})
    return {name: value.strip() for name, value in headers.items()}


def masked(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers as they are shown where their values are nobody's business."""
    return {name: value if name.lower() == "content-type" else MASK for name, value in headers.items()}


def _fault(name: str, value: str) -> str | None:
    if not NAME.fullmatch(name):
        return "This is not the name of a header."
    if name.lower() in RESERVED or name.lower().startswith(RESERVED_PREFIXES):
        return "This header is reserved."
    if not VALUE.fullmatch(value) or len(value) > LONGEST_VALUE:
        return f"A value has up to {LONGEST_VALUE} printable ASCII characters."
    return None
