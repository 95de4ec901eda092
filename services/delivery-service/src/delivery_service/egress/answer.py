"""What is kept of an answer: the beginning of its body as text, however long, in whatever encoding it comes."""

import zlib

from aiohttp import ClientResponse

KEPT = 65_536
"""Bytes, before and after decompression."""
WINDOW = {"gzip": zlib.MAX_WBITS | 16, "x-gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}


async def read_beginning(response: ClientResponse) -> str:
    """Read a bounded piece of the body and return it as text; whatever is beyond is left unread."""
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) >= KEPT:
            break
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    return as_text(bytes(body[:KEPT]), encoding, response.charset or "utf-8")


def as_text(body: bytes, encoding: str = "", charset: str = "utf-8") -> str:
    """Return bytes as text that a database takes: what is not text shows as replacement characters."""
    if encoding not in {"", "identity"}:
        if encoding not in WINDOW:
            return f"[{len(body)} bytes in the encoding {encoding[:40]!r}]"
        body = _decompressed(body, WINDOW[encoding])
    try:
        text = body.decode(charset, "replace")
    except (LookupError, ValueError, RuntimeError):
        text = body.decode("utf-8", "replace")
    return text.replace("\0", "\ufffd")


def _decompressed(body: bytes, window: int) -> bytes:
    try:
        return zlib.decompressobj(window).decompress(body, KEPT)
    except zlib.error:
        # What calls itself deflate often comes without the wrapper it should have.
        return _raw(body) if window == zlib.MAX_WBITS else body


def _raw(body: bytes) -> bytes:
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(body, KEPT)
    except zlib.error:
        return body
