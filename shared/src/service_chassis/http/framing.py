"""Where a request ends, told from its bytes as they come, so that nobody has to wait for the rest of it."""

import re

LARGEST_HEAD = 16_384
LONGEST_CHUNK_LINE = 256
_LINE = b"\r\n"
_END = _LINE + _LINE
_LENGTH = re.compile(rb"^content-length:[ \t]*(\d{1,18})[ \t]*\r$", re.IGNORECASE | re.MULTILINE)
_CODING = re.compile(rb"^transfer-encoding:[ \t]*chunked[ \t]*\r$", re.IGNORECASE | re.MULTILINE)
_INVITATION = re.compile(rb"^expect:[ \t]*100-continue[ \t]*\r$", re.IGNORECASE | re.MULTILINE)


class Unframed(Exception):
    """Where the request ends cannot be told, or is too far away; the status says why."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Framing:
    """One request as it arrives. A head that is not as it should be counts as whole: its parser will refuse it."""

    def __init__(self, body_limit: int) -> None:
        self.received = bytearray()
        self.whole = False
        self.cut = False
        """Whether the body is larger than it may be, as its length says, and was not waited for."""
        self.invites = False
        """Whether the client waits to be told that its body is wanted."""
        self._limit = body_limit
        self._body_at: int | None = None
        self._length: int | None = None
        self._next_chunk = 0
        self._in_chunks = 0

    @property
    def head_is_whole(self) -> bool:
        return self._body_at is not None

    def feed(self, piece: bytes) -> None:
        """Take in what has come. Raises Unframed."""
        searched = max(0, len(self.received) - len(_END))
        self.received += piece
        if self._body_at is None:
            self._look_for_body(searched)
        if self._body_at is not None and not self.whole:
            self._look_for_end()

    def _look_for_body(self, searched: int) -> None:
        end = self.received.find(_END, searched)
        if (end if end >= 0 else len(self.received)) > LARGEST_HEAD:
            raise Unframed(431)
        if end < 0:
            return
        head = bytes(self.received[: end + 2])
        self._body_at = self._next_chunk = end + len(_END)
        lengths = _LENGTH.findall(head)
        if not _CODING.search(head):
            self._length = int(lengths[0]) if lengths else 0
        self.invites = _INVITATION.search(head) is not None and self._length != 0

    def _look_for_end(self) -> None:
        if self._length is None:
            self._pass_chunks()
            return
        arrived = len(self.received) - (self._body_at or 0)
        self.cut = self._length > self._limit
        self.whole = self.cut or arrived >= self._length

    def _pass_chunks(self) -> None:
        """Go past the chunks that are there; one may still be coming."""
        while self._next_chunk < len(self.received):
            line_end = self._line_end()
            if line_end < 0:
                return
            size = _chunk_size(bytes(self.received[self._next_chunk : line_end]))
            if size == 0:
                self.whole = self._has_trailers(line_end)
                return
            end = line_end + len(_LINE) + size
            if self._in_chunks + size > self._limit or end > 2 * self._limit + LARGEST_HEAD:
                raise Unframed(413)
            if end + len(_LINE) > len(self.received):
                return
            if not self.received.startswith(_LINE, end):
                raise Unframed(400)
            self._in_chunks += size
            self._next_chunk = end + len(_LINE)

    def _line_end(self) -> int:
        end = self.received.find(_LINE, self._next_chunk, self._next_chunk + LONGEST_CHUNK_LINE)
        if end < 0 and len(self.received) - self._next_chunk >= LONGEST_CHUNK_LINE:
            raise Unframed(400)
        return end

    def _has_trailers(self, line_end: int) -> bool:
        """Say whether what comes after the last chunk is there: nothing, for trailers are not taken."""
        after = self.received[line_end : line_end + len(_END)]
        if not _END.startswith(after):
            raise Unframed(400)
        return len(after) == len(_END)


def _chunk_size(line: bytes) -> int:
    digits = line.partition(b";")[0].strip(b" \t")
    if not re.fullmatch(rb"[0-9A-Fa-f]{1,8}", digits):
        raise Unframed(400)
    return int(digits, 16)
