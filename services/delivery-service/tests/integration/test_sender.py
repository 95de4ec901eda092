"""What a sender does with receivers of every kind, over real sockets."""

import asyncio
import gzip
import socket
import ssl
import subprocess
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from delivery_service.egress.answer import KEPT
from delivery_service.egress.rules import EgressRules
from delivery_service.egress.sender import Sender
from delivery_service.model.attempt import ErrorClass, Request, Result

LOOPBACK = EgressRules.allowing(["127.0.0.0/8"])
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Talk: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Receiver:
    """A server that keeps what it was sent, connection by connection, and answers as it is told."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._under_way: set[asyncio.Task[None]] = set()
        self.connections = 0
        self.port = 0

    @asynccontextmanager
    async def serving(self, tls: ssl.SSLContext | None = None) -> AsyncIterator["Receiver"]:
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0, ssl=tls)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in self._under_way:
                task.cancel()
            await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._under_way.add(task)
        try:
            await self._talk(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def url(self, path: str = "/") -> str:
        return f"http://127.0.0.1:{self.port}{path}"


async def heard(reader: asyncio.StreamReader) -> bytes:
    """Read one request and return it as it came."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
    return head + await reader.readexactly(length)


def answering(*answers: bytes) -> Talk:
    """Answer request after request of each connection, and close it after the last."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await heard(reader)
            writer.write(answer)
            await writer.drain()

    return talk


def request(url: str, *, method: str = "POST", timeout: float = 5, body: bytes | None = b"{}") -> Request:
    return Request(method, url, {"Content-Type": "application/json"}, body, timeout)


def sent(talk: Talk, times: int = 1, *, timeout: float = 5) -> tuple[list[Result], int]:
    """Send the same request one after the other; return the results and how many connections that took."""

    async def run() -> tuple[list[Result], int]:
        async with Receiver(talk).serving() as receiver, Sender(LOOPBACK) as sender:
            results = [await sender.send(request(receiver.url(), timeout=timeout)) for _ in range(times)]
            return results, receiver.connections

    return asyncio.run(run())


def result_of(talk: Talk, *, timeout: float = 5) -> Result:
    ((result,), _) = sent(talk, timeout=timeout)
    return result


def encoded(body: bytes, encoding: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


class Names(AbstractResolver):
    """Answers each look-up with the next address."""

    def __init__(self, *answers: list[str]) -> None:
        self._answers = list(answers)
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked += 1
        addresses = self._answers.pop(0)
        return [
            ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)
            for address in addresses
        ]

    async def close(self) -> None:
        pass


def test_a_request_arrives_as_it_was_written_and_with_no_header_of_ours() -> None:
    requests: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await heard(reader))
        writer.write(OK)

    async def run() -> Result:
        async with Receiver(talk).serving() as receiver, Sender(LOOPBACK) as sender:
            return await sender.send(request(receiver.url("/a%7Eb?q=1%20x&y=%2B"), body=b'{"b": 1.0, "a": "\\u00e4"}'))

    result = asyncio.run(run())

    assert (result.status, result.succeeded, result.answer) == (200, True, "ok")
    head, _, body = requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /a%7Eb?q=1%20x&y=%2B HTTP/1.1\r\n")
    assert body == b'{"b": 1.0, "a": "\\u00e4"}'
    names = sorted(line.partition(b":")[0].lower() for line in head.split(b"\r\n")[1:])
    assert names == [b"content-length", b"content-type", b"host"]


@pytest.mark.parametrize("status", [400, 404, 410, 429, 500, 503])
def test_a_status_from_400_is_a_failure(status: int) -> None:
    result = result_of(answering(f"HTTP/1.1 {status} No\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\nno".encode()))

    assert (result.status, result.error, result.answer) == (status, ErrorClass.HTTP_ERROR, "no")
    assert result.retry_after == "7"


@pytest.mark.parametrize("status", [301, 302, 303, 304, 307, 308])
def test_a_redirect_is_a_failure_and_is_not_followed(status: int) -> None:
    moved = f"HTTP/1.1 {status} Moved\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n".encode()

    (results, connections) = sent(answering(moved))

    assert [(result.status, result.error) for result in results] == [(status, ErrorClass.REDIRECT)]
    assert connections == 1


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_one_attempt_is_one_request_whatever_the_method(method: str) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await heard(reader)

    async def run() -> tuple[Result, int]:
        async with Receiver(hang_up).serving() as receiver, Sender(LOOPBACK) as sender:
            return await sender.send(request(receiver.url(), method=method)), receiver.connections

    result, connections = asyncio.run(run())

    assert (result.error, connections) == (ErrorClass.CONNECTION_RESET, 1)


def test_connections_are_kept_for_the_next_request() -> None:
    results, connections = sent(answering(OK, OK, OK), 3)

    assert [result.status for result in results] == [200, 200, 200]
    assert connections == 1
    assert results[0].timings.connect > 0
    assert results[1].timings.connect == 0


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_a_kept_connection_closed_before_a_byte_came_back_is_repeated_at_once(method: str) -> None:
    """The close and the request cross on the way: the receiver reads the second request and only then closes."""
    seen: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await heard(reader))
        writer.write(OK)
        if len(seen) == 1:
            await heard(reader)

    async def run() -> list[Result]:
        async with Receiver(talk).serving() as receiver, Sender(LOOPBACK) as sender:
            return [await sender.send(request(receiver.url(), method=method)) for _ in range(2)]

    results = asyncio.run(run())

    assert [result.status for result in results] == [200, 200]
    assert len(seen) == 2


def test_a_kept_connection_closed_half_way_through_the_answer_is_a_failure() -> None:
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhal"

    results, connections = sent(answering(OK, half), 2)

    assert [result.error for result in results] == [None, ErrorClass.CONNECTION_RESET]
    assert connections == 1


def test_the_deadline_covers_a_receiver_that_never_answers() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    result = result_of(silent, timeout=0.2)

    assert (result.status, result.error) == (None, ErrorClass.TIMEOUT)
    assert 0.2 <= result.timings.total < 2


def test_the_deadline_covers_the_body() -> None:
    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await heard(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    result = result_of(trickle, timeout=0.3)

    assert result.error == ErrorClass.TIMEOUT
    assert result.timings.first_byte is not None
    assert result.timings.first_byte < 0.3 <= result.timings.total


def test_of_an_endless_answer_the_beginning_is_kept_and_the_rest_left_unread() -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await heard(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"1000\r\n" + b"x" * 4096 + b"\r\n")
            await writer.drain()

    result = result_of(endless)

    assert (result.succeeded, result.answer) == (True, "x" * KEPT)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "raw"])
def test_a_compressed_bomb_is_cut_at_the_same_size(encoding: str) -> None:
    plain = b"0" * 50_000_000
    raw = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    bombs = {"gzip": gzip.compress(plain), "deflate": zlib.compress(plain), "raw": raw.compress(plain) + raw.flush()}

    result = result_of(answering(encoded(bombs[encoding], encoding.replace("raw", "deflate"))))

    assert (result.succeeded, result.answer) == (True, "0" * KEPT)


def test_an_encoding_we_do_not_know_is_named_and_a_broken_one_kept_as_it_came() -> None:
    assert result_of(answering(encoded(b"abc", "br"))).answer == "[3 bytes in the encoding 'br']"
    assert result_of(answering(encoded(b"abc", "gzip"))).answer == "abc"


def test_an_answer_that_is_no_text_becomes_text_that_a_database_takes() -> None:
    body = b"\x00\xff\xe4"
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=%s\r\nContent-Length: 3\r\n\r\n" + body

    assert result_of(answering(answer % b"utf-8")).answer == "\ufffd\ufffd\ufffd"
    assert result_of(answering(answer % b"iso-8859-1")).answer == "\ufffd\xff\xe4"
    assert result_of(answering(answer % b"no-such-thing")).answer == "\ufffd\ufffd\ufffd"
    assert result_of(answering(answer % b"base64")).answer == "\ufffd\ufffd\ufffd"


@pytest.mark.parametrize(
    "answer",
    [b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n", b"\x16\x03\x01\r\n\r\n"],
    ids=["another protocol", "a header too long", "TLS"],
)
def test_what_is_not_http_is_an_invalid_answer(answer: bytes) -> None:
    assert result_of(answering(answer)).error == ErrorClass.INVALID_ANSWER


def test_nobody_listening_is_a_refused_connection() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/"

        async def run() -> Result:
            async with Sender(LOOPBACK) as sender:
                return await sender.send(request(url))

        assert asyncio.run(run()).error == ErrorClass.CONNECTION_REFUSED


def test_a_name_nobody_knows_is_a_dns_error() -> None:
    class Unknown(Names):
        async def resolve(self, *_: object, **__: object) -> list[ResolveResult]:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async def run() -> Result:
        async with Sender(LOOPBACK, lookup=Unknown()) as sender:
            return await sender.send(request("http://nobody.example/"))

    assert asyncio.run(run()).error == ErrorClass.DNS_ERROR


@pytest.mark.parametrize("addresses", [["10.0.0.1"], ["127.0.0.1", "169.254.169.254"]], ids=["only", "among others"])
def test_a_name_that_leads_inside_is_blocked(addresses: list[str]) -> None:
    names = Names(addresses)

    async def run() -> Result:
        async with Receiver(answering(OK)).serving() as receiver, Sender(LOOPBACK, lookup=names) as sender:
            result = await sender.send(request(f"http://inside.example:{receiver.port}/"))
            assert receiver.connections == 0
            return result

    assert asyncio.run(run()).error == ErrorClass.BLOCKED_IP


def test_a_name_that_resolves_differently_the_second_time_is_vetted_again() -> None:
    """DNS rebinding: each connection goes to the very address that was vetted for it."""
    names = Names(["127.0.0.1"], ["10.0.0.1"])
    once = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

    async def run() -> list[Result]:
        async with Receiver(answering(once)).serving() as receiver, Sender(LOOPBACK, lookup=names) as sender:
            url = f"http://rebind.example:{receiver.port}/"
            return [await sender.send(request(url)) for _ in range(2)]

    results = asyncio.run(run())

    assert [(result.status, result.error) for result in results] == [(200, None), (None, ErrorClass.BLOCKED_IP)]
    assert names.asked == 2


def test_a_name_whose_address_moves_between_vetting_and_connecting_reaches_the_vetted_one() -> None:
    names = Names(["127.0.0.1"])

    async def run() -> Result:
        async with Receiver(answering(OK)).serving() as receiver, Sender(LOOPBACK, lookup=names) as sender:
            return await sender.send(request(f"http://once.example:{receiver.port}/"))

    assert asyncio.run(run()).status == 200
    assert names.asked == 1


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1/", "http://[::1]/", "http://0x7f.1/", "http://Ex\u00e4mple.com/", "ftp://example.com/"]
)
def test_a_url_against_the_rules_is_blocked_without_a_look_up(url: str) -> None:
    names = Names()

    async def run() -> Result:
        async with Sender(LOOPBACK, lookup=names) as sender:
            return await sender.send(request(url))

    assert asyncio.run(run()).error == ErrorClass.BLOCKED_IP
    assert names.asked == 0


def test_a_certificate_nobody_vouches_for_is_a_tls_error(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    options = ["-days", "1", "-subj", "/CN=localhost", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command, *options], check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)

    async def run() -> Result:
        async with Receiver(answering(OK)).serving(tls) as receiver, Sender(LOOPBACK) as sender:
            return await sender.send(request(f"https://127.0.0.1:{receiver.port}/"))

    assert asyncio.run(run()).error == ErrorClass.TLS_ERROR


def test_a_request_that_is_cancelled_ends_at_once() -> None:
    async def run() -> None:
        arrived = asyncio.Event()

        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            arrived.set()
            await reader.read()

        async with Receiver(silent).serving() as receiver, Sender(LOOPBACK) as sender:
            task = asyncio.create_task(sender.send(request(receiver.url())))
            await arrived.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(run())
