"""Where a request ends, however its bytes come."""

from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_chassis.http.framing import LARGEST_HEAD, LONGEST_CHUNK_LINE, Framing, Unframed

LIMIT = 1_000
REQUESTS = [
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST / HTTP/1.1\r\ncontent-length:  5\r\n\r\nhello",
    b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
    b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3;x=y\r\n\r\n\r\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n",
]


@given(request=st.sampled_from(REQUESTS), cuts=st.sets(st.integers(0, 120)))
def test_a_request_is_whole_with_its_last_byte_and_not_before(request: bytes, cuts: set[int]) -> None:
    framing = Framing(LIMIT)
    places = sorted({0, len(request) - 1, *(cut for cut in cuts if cut < len(request))})

    for start, end in pairwise(places):
        framing.feed(request[start:end])
        assert not framing.whole
    framing.feed(request[-1:])

    assert (framing.whole, framing.cut, bytes(framing.received)) == (True, False, request)


def test_the_rest_of_a_body_whose_length_is_too_large_is_not_waited_for() -> None:
    framing = Framing(LIMIT)

    framing.feed(b"POST / HTTP/1.1\r\nContent-Length: 1001\r\n\r\n")

    assert (framing.whole, framing.cut) == (True, True)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"3e9\r\n", 413),
        (b"a;" + b"x" * 200 + b"\r\n" + b"y" * 10 + b"\r\n", 413),
        (b"zz\r\n", 400),
        (b"-1\r\n", 400),
        (b"5\r\nhellooo", 400),
        (b"x" * LONGEST_CHUNK_LINE, 400),
        (b"0\r\nTrailer: x\r\n\r\n", 400),
    ],
)
def test_chunks_that_are_too_large_or_none_are_refused(sent: bytes, status: int) -> None:
    framing = Framing(LIMIT)
    framing.feed(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")

    with pytest.raises(Unframed) as refused:
        framing.feed(sent * 100)

    assert refused.value.status == status


@given(sent=st.binary(max_size=400))
def test_whatever_comes_after_a_head_is_taken_or_refused(sent: bytes) -> None:
    framing = Framing(LIMIT)
    framing.feed(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")

    with suppress(Unframed):
        for byte in sent:
            framing.feed(bytes([byte]))
        assert framing.received.endswith(sent)


def test_a_head_has_a_limit() -> None:
    framing = Framing(LIMIT)

    with pytest.raises(Unframed) as refused:
        framing.feed(b"GET / HTTP/1.1\r\nX: " + b"x" * LARGEST_HEAD)

    assert refused.value.status == 431


def test_a_client_that_waits_for_an_invitation_is_told_apart() -> None:
    asking, sending = Framing(LIMIT), Framing(LIMIT)

    asking.feed(b"POST / HTTP/1.1\r\nExpect: 100-Continue\r\nContent-Length: 5\r\n\r\n")
    sending.feed(b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n")

    assert (asking.invites, sending.invites) == (True, False)
