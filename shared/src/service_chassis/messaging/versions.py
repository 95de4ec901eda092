"""A version as one number that can be compared: the epoch of its owner in the upper bits, the count in the lower ones.

On the wire they stand beside each other, because a CloudEvents integer has 32 bits.
"""

BITS = 32


def joined(epoch: int, count: int) -> int:
    return epoch << BITS | count


def split(version: int) -> tuple[int, int]:
    """Return epoch and count."""
    return version >> BITS, version & (1 << BITS) - 1
