"""Ending to listen without resetting anybody: what knocks while a listener is being closed."""

import ctypes
import socket
import struct
import sys
from contextlib import suppress

ATTACH_FILTER = 26
"""SO_ATTACH_FILTER of Linux, for which Python has no name."""

_INSTRUCTION = "HBBI"
_NO_SYN = struct.pack(
    _INSTRUCTION * 4,
    *(0x30, 0, 0, 13),  # Load byte 13 of the TCP header, the flags.
    *(0x45, 0, 1, 0x02),  # Go on when SYN is set, else skip one.
    *(0x06, 0, 0, 0),  # Drop the packet.
    *(0x06, 0, 0, 0xFFFFFFFF),  # Keep all of it.
)
"""A classic BPF program, as `struct sock_filter` of linux/filter.h has it."""


def deafen(listener: socket.socket) -> None:
    """Let nobody else connect, for good and through any handle; who is connected can still be accepted.

    A listener that is closed resets who has connected and was not accepted, and however quickly it is closed after
    the last one was, somebody may come between. Who knocks at a deaf one knocks again a second later, and is refused
    by then. Other systems than Linux cannot do this and stay with the small risk.
    """
    if sys.platform != "linux":
        # The same number may be another option there.
        return
    program = ctypes.create_string_buffer(_NO_SYN, len(_NO_SYN))
    # A container may forbid it, which is no reason to end any worse than without.
    with suppress(OSError):
        listener.setsockopt(socket.SOL_SOCKET, ATTACH_FILTER, struct.pack("HP", 4, ctypes.addressof(program)))
