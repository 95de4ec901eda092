"""What a service does with a request, from answering it to crashing over it."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from service_chassis.aio import json_answer
from service_chassis.answers import success

Behaviour = Callable[[web.Request], Awaitable[web.StreamResponse]]

RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of a socket that is reset when closed, as by a crash."""


async def echo(_: web.Request) -> web.StreamResponse:
    return json_answer(success("done"))


async def hang(_: web.Request) -> web.StreamResponse:
    return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]  # never comes


async def hang_reading(request: web.Request) -> web.StreamResponse:
    """Do not even read the body."""
    return await hang(request)


async def reset(request: web.Request) -> web.StreamResponse:
    """Crash instead of answering."""
    assert request.transport is not None
    connection: socket.socket = request.transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    request.transport.abort()
    return web.Response()


async def break_off(request: web.Request) -> web.StreamResponse:
    """Begin a long answer and crash."""
    response = web.StreamResponse(headers={"Content-Length": "1000000"})
    await response.prepare(request)
    await response.write(b"x" * 1000)
    return await reset(request)


async def drip(request: web.Request) -> web.StreamResponse:
    """Begin an answer, a short one by its own words, and never come to its end."""
    response = web.StreamResponse(headers={"Content-Length": "10"})
    await response.prepare(request)
    await response.write(b"x")
    return await hang(request)


def answer(status: int, body: Any = None, **headers: str) -> Behaviour:
    """Return the behaviour of always answering like this."""

    async def behave(_: web.Request) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return json_answer(success(body), status, named)

    return behave


def in_turn(*behaviours: Behaviour) -> Behaviour:
    """Return the behaviour of doing one after the other, and the last one from then on."""
    coming = list(behaviours)

    async def behave(request: web.Request) -> web.StreamResponse:
        current = coming.pop(0) if len(coming) > 1 else coming[0]
        return await current(request)

    return behave
