"""Closing a listener without resetting who has connected already but was not accepted yet."""

import asyncio
import socket
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from aiohttp import web

from service_chassis.listening import deafen

TURNS = 3
"""Turns of the loop from an accepted socket to a connection that is known."""


def listeners(site: web.BaseSite) -> Iterable[Any]:
    """Return what a site listens on, in the loop's own type of sockets."""
    # The framework tells it nowhere else.
    return getattr(site._server, "sockets", None) or ()  # noqa: SLF001


async def let_in(listeners: Iterable[Any]) -> None:
    """Accept no more, and give accepted connections their turns; asyncio drops one that is half made at the end."""
    for listener in listeners:
        # Other loops than asyncio's do not listen by a reader and make connections whole at once.
        with suppress(NotImplementedError):
            asyncio.get_running_loop().remove_reader(listener.fileno())
    for _ in range(TURNS):
        await asyncio.sleep(0)


def second_handle(listener: Any) -> socket.socket:
    """Return another handle of a listener: who waits to be accepted is reset when the last one is closed."""
    return socket.fromfd(listener.fileno(), listener.family, listener.type)


def last_in(door: socket.socket, *, is_last: bool) -> list[socket.socket]:
    """Accept everybody who is waiting, and close the door; nobody comes between when it is the last one."""
    waiting = []
    if is_last:
        deafen(door)
    with door, suppress(BlockingIOError):
        door.setblocking(False)
        while True:
            connection, _ = door.accept()
            connection.setblocking(False)
            waiting.append(connection)
    return waiting
