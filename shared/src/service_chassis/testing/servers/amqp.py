"""Just enough AMQP 0-9-1 to log in and out: whether a broker can be used is asked without a client library."""

import socket
import struct
from typing import BinaryIO, Final
from urllib.parse import unquote, urlsplit

from service_chassis.testing.servers.process import ServerError

Method = tuple[int, int]

START: Final = (10, 10)
START_OK: Final = (10, 11)
TUNE: Final = (10, 30)
TUNE_OK: Final = (10, 31)
OPEN: Final = (10, 40)
OPEN_OK: Final = (10, 41)
CLOSE: Final = (10, 50)
CLOSE_OK: Final = (10, 51)

TIMEOUT_SECONDS = 5
METHOD_FRAME = 1
FRAME_END = b"\xce"


def log_in(url: str) -> None:
    """Log in, open the URL's virtual host and log out again; raises ServerError with the broker's reason."""
    parts = urlsplit(url)
    address = (parts.hostname or "127.0.0.1", parts.port or 5672)
    user, password = unquote(parts.username or "guest"), unquote(parts.password or "guest")
    try:
        with (
            socket.create_connection(address, timeout=TIMEOUT_SECONDS) as connection,
            connection.makefile("rb") as incoming,
        ):
            _converse(_Frames(connection, incoming), user, password, unquote(parts.path[1:]) or "/")
    except OSError as error:
        raise ServerError(str(error)) from error


class _Frames:
    def __init__(self, connection: socket.socket, incoming: BinaryIO) -> None:
        self._connection = connection
        self._incoming = incoming

    def greet(self) -> None:
        self._connection.sendall(b"AMQP\x00\x00\x09\x01")

    def send(self, method: Method, arguments: bytes) -> None:
        payload = struct.pack("!HH", *method) + arguments
        self._connection.sendall(struct.pack("!BHI", METHOD_FRAME, 0, len(payload)) + payload + FRAME_END)

    def expect(self, method: Method) -> bytes:
        """Return the arguments of the next frame; raises ServerError if it is another method's."""
        header = self._incoming.read(7)
        if len(header) < 7 or header[0] != METHOD_FRAME:
            raise ServerError("What listens there is not a RabbitMQ that lets us in.")
        payload = self._incoming.read(struct.unpack("!I", header[3:])[0] + len(FRAME_END))
        received = struct.unpack("!HH", payload[:4])
        if received == CLOSE:
            raise ServerError(payload[7 : 7 + payload[6]].decode(errors="replace"))
        if received != method:
            raise ServerError(f"The broker answered {received} where {method} belongs.")
        return payload[4:-1]


def _converse(frames: _Frames, user: str, password: str, virtual_host: str) -> None:
    frames.greet()
    frames.expect(START)
    # With this capability the broker says why it refuses a login instead of just hanging up.
    capabilities = _short("authentication_failure_close") + b"t\x01"
    properties = _short("capabilities") + b"F" + _long(capabilities)
    credentials = _long(f"\0{user}\0{password}".encode())
    frames.send(START_OK, _long(properties) + _short("PLAIN") + credentials + _short("en_US"))
    limits = frames.expect(TUNE)
    frames.send(TUNE_OK, limits)
    frames.send(OPEN, _short(virtual_host) + b"\0\0")
    frames.expect(OPEN_OK)
    frames.send(CLOSE, struct.pack("!H", 200) + _short("") + struct.pack("!HH", 0, 0))
    frames.expect(CLOSE_OK)


def _short(text: str) -> bytes:
    encoded = text.encode()
    return bytes([len(encoded)]) + encoded


def _long(content: bytes) -> bytes:
    return struct.pack("!I", len(content)) + content
