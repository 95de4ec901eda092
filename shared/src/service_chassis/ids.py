"""UUIDv7: ids that sort by the millisecond they were made in (RFC 9562, section 5.7)."""

import os
import time
from uuid import UUID


def uuid7() -> UUID:
    """Return a new id whose first 48 bits are Unix milliseconds and whose rest is random."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    value = (milliseconds & 0xFFFF_FFFF_FFFF) << 80 | random
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return UUID(int=value)
