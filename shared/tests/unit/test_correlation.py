import threading
from contextlib import suppress
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_chassis import correlation
from service_chassis.correlation import Correlation, correlated, current, from_headers, next_traceparent

TRACE = "00-" + "a" * 32 + "-" + "b" * 16 + "-00"


@pytest.mark.parametrize("given_id", ["request-7", "A.b_c-9", "x" * 64, "0"])
def test_a_well_formed_id_of_the_caller_is_taken_over(given_id: str) -> None:
    assert from_headers(given_id, None).correlation_id == given_id


@pytest.mark.parametrize("given_id", [None, "", "x" * 65, "a b", "a\n", "ü", "<script>", "a,b", "a/b"])
def test_any_other_id_is_replaced(given_id: str | None) -> None:
    made = from_headers(given_id, None).correlation_id

    assert made != given_id
    assert UUID(made).version == 7


def test_a_trace_is_continued_with_a_span_of_our_own() -> None:
    continued = next_traceparent(TRACE)

    version, trace, span, flags = continued.split("-")
    assert (version, trace, flags) == ("00", "a" * 32, "00")
    assert span != "b" * 16
    assert correlation.ACCEPTED_TRACEPARENT.match(continued)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        TRACE + "\n",
        TRACE.upper(),
        TRACE.replace("00-", "01-", 1),
        TRACE.replace("a", "0"),
        TRACE.replace("b", "0"),
        TRACE[:-1],
        TRACE + "-more",
    ],
)
def test_a_trace_that_is_not_well_formed_is_replaced_by_a_new_one(header: str | None) -> None:
    started = next_traceparent(header)

    assert correlation.ACCEPTED_TRACEPARENT.match(started)
    assert "a" * 32 not in started


@given(st.text(), st.text())
def test_whatever_the_headers_say_the_ids_are_well_formed(given_id: str, header: str) -> None:
    made = from_headers(given_id, header)

    assert correlation.ACCEPTED_ID.fullmatch(made.correlation_id)
    assert correlation.ACCEPTED_TRACEPARENT.fullmatch(str(made.traceparent))


def test_ids_hold_inside_the_block_and_those_before_hold_again_after_it() -> None:
    outer, inner = Correlation("outer"), Correlation("inner")
    assert current() is None

    with correlated(outer):
        with suppress(ZeroDivisionError), correlated(inner):
            assert current() == inner
            raise ZeroDivisionError
        assert current() == outer

    assert current() is None


def test_threads_do_not_see_the_ids_of_others() -> None:
    seen = []

    with correlated(Correlation("here")):
        thread = threading.Thread(target=lambda: seen.append(current()))
        thread.start()
        thread.join()

    assert seen == [None]
