"""Passwords known from breaches: a file in the form of Pwned Passwords, read where it lies.

Each line is the SHA-1 of a password in upper case, a colon and how often it was seen; lines are sorted by hash, as
the downloader of haveibeenpwned.com writes them. A billion of them stay on disk: a look-up halves the file some
thirty times.
"""

import hashlib
import os
from pathlib import Path

from service_chassis.errors import Unavailable
from service_chassis.settings import SettingsError

HASH_LENGTH = 40
PIECE = 128
"""Bytes read at a time; no line is longer than half of it."""


class BreachedPasswords:
    def __init__(self, path: Path) -> None:
        """Open the file. Raises SettingsError when it cannot be read or is something else."""
        try:
            self._file = os.open(path, os.O_RDONLY)
            self._size = os.fstat(self._file).st_size
            first = self._line_from(0)[1]
        except OSError as error:
            raise SettingsError([f"BREACHED_PASSWORDS_FILE cannot be read: {error.strerror}."]) from error
        if not _is_hash(first):
            raise SettingsError(["BREACHED_PASSWORDS_FILE holds no lines that begin with a SHA-1 in upper case."])

    def __contains__(self, password: object) -> bool:
        """Say whether a password was seen in a breach. Raises Unavailable: what cannot be checked is not accepted."""
        wanted = hashlib.sha1(str(password).encode(), usedforsecurity=False).hexdigest().upper().encode()
        try:
            return self._holds(wanted)
        except OSError as error:
            raise Unavailable("Passwords cannot be checked right now.", retry_after=60) from error

    def _holds(self, wanted: bytes) -> bool:
        low, high = 0, self._size
        while low < high:
            middle = (low + high) // 2
            start, found = self._line_from(middle)
            if found == wanted:
                return True
            if start < high and found < wanted:
                low = start + 1
            else:
                high = middle
        return self._line_from(low)[1] == wanted

    def _line_from(self, position: int) -> tuple[int, bytes]:
        """Return the first line that begins at a position or after it: where, and its hash; nothing at the end."""
        piece = os.pread(self._file, PIECE, max(position - 1, 0))
        skipped = 0 if position == 0 else piece.find(b"\n") + 1
        if position > 0 and skipped == 0:
            return self._size, b""
        start = skipped if position == 0 else position - 1 + skipped
        return start, piece[skipped : skipped + HASH_LENGTH]


def _is_hash(text: bytes) -> bool:
    return len(text) == HASH_LENGTH and not text.strip(b"0123456789ABCDEF")
