"""A way to a server that tests can cut or hold, without harm to anybody else who uses the server."""

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit


class Proxy:
    """Passes connections on to a server; `url` is the server's URL with the proxy's address."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._server = (parts.hostname or "127.0.0.1", parts.port or 0)
        self._flowing = threading.Event()
        self._flowing.set()
        self._guard = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener = self._listen(0)
        self._port = self._listener.getsockname()[1]
        credentials, at, _ = parts.netloc.rpartition("@")
        self.url = urlunsplit(parts._replace(netloc=f"{credentials}{at}127.0.0.1:{self._port}"))

    def cut(self) -> None:
        """End every connection and refuse new ones until `restore`."""
        self._shut(self._listener)
        self.drop()

    def restore(self) -> None:
        """Let connections in again."""
        self._listener = self._listen(self._port)

    def drop(self) -> None:
        """End every connection; new ones are let in."""
        with self._guard:
            for connection in self._open:
                self._shut(connection)
            self._open.clear()

    def hold(self) -> None:
        """Pass nothing on until `release`; connections stay open, as they do to a server that hangs."""
        self._flowing.clear()

    def release(self) -> None:
        self._flowing.set()

    def close(self) -> None:
        self.release()
        self.cut()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.close()

    def _listen(self, port: int) -> socket.socket:
        listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
        return listener

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                self._connect(client)

    def _connect(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self._server, timeout=5)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        with self._guard:
            self._open |= {client, server}
        for source, sink in ((client, server), (server, client)):
            threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while content := source.recv(65_536):
                self._flowing.wait()
                sink.sendall(content)
        with self._guard:
            for connection in {source, sink} & self._open:
                self._shut(connection)
            self._open -= {source, sink}

    @staticmethod
    def _shut(connection: socket.socket) -> None:
        """Close a socket and end the calls that wait on it."""
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()
