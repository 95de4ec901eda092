import io
import json
import logging
from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

import pytest

from service_chassis.correlation import Correlation, correlated
from service_chassis.logs import StructuredHandler, capture_library_logs, make_log


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_one_json_object_with_the_service_the_level_and_the_time(stream: io.StringIO) -> None:
    make_log("sample-service", stream=stream).info("user_registered", user=UUID(int=7), text="two\nlines")

    (line,) = lines(stream)
    assert (line["service"], line["level"], line["event"]) == ("sample-service", "info", "user_registered")
    assert (line["user"], line["text"]) == (str(UUID(int=7)), "two\nlines")
    assert datetime.fromisoformat(str(line["timestamp"])).tzinfo is not None


def test_each_line_carries_the_correlation_id_of_the_work_in_hand(stream: io.StringIO) -> None:
    log = make_log("sample-service", stream=stream)

    log.info("before")
    with correlated(Correlation("request-7", causation_id="event-3")):
        log.info("inside")
    log.info("after")

    assert [line["correlation_id"] for line in lines(stream)] == [None, "request-7", None]
    assert [line.get("causation_id") for line in lines(stream)] == [None, "event-3", None]


def test_an_exception_is_part_of_its_line(stream: io.StringIO) -> None:
    log = make_log("sample-service", stream=stream)

    try:
        raise ZeroDivisionError("broken")
    except ZeroDivisionError:
        log.exception("job_failed")

    (line,) = lines(stream)
    assert "Traceback" in str(line["exception"])
    assert "ZeroDivisionError: broken" in str(line["exception"])


def test_what_is_below_the_level_is_not_written(stream: io.StringIO) -> None:
    log = make_log("sample-service", level="WARNING", stream=stream)

    log.info("quiet")
    log.warning("loud")

    assert [line["event"] for line in lines(stream)] == ["loud"]


def test_two_services_in_one_process_do_not_see_each_other() -> None:
    first, second = io.StringIO(), io.StringIO()
    one, other = make_log("first", stream=first), make_log("second", level="ERROR", stream=second)

    one.info("said")
    other.info("unsaid")
    one.bind(more="context").info("said again")
    other.error("failed")

    assert [(line["service"], line["event"]) for line in lines(first)] == [("first", "said"), ("first", "said again")]
    assert [(line["service"], line["event"]) for line in lines(second)] == [("second", "failed")]
    assert "more" not in lines(second)[0]


class TestLibraries:
    @pytest.fixture(autouse=True)
    def _root_logger(self) -> Iterator[None]:
        root = logging.getLogger()
        handlers, level = root.handlers[:], root.level
        yield
        root.handlers[:], root.level = handlers, level

    def test_what_a_library_logs_comes_out_in_the_same_form(self, stream: io.StringIO) -> None:
        capture_library_logs(make_log("sample-service", stream=stream))

        with correlated(Correlation("request-7")):
            logging.getLogger("some.library").warning("%d things are wrong", 3)
            logging.getLogger("some.library").info("all is well")

        (line,) = lines(stream)
        assert (line["event"], line["logger"], line["level"]) == ("3 things are wrong", "some.library", "warning")
        assert line["correlation_id"] == "request-7"

    def test_an_exception_a_library_logs_is_part_of_its_line(self, stream: io.StringIO) -> None:
        capture_library_logs(make_log("sample-service", stream=stream))

        try:
            raise ZeroDivisionError("broken")
        except ZeroDivisionError:
            logging.getLogger("some.library").exception("it failed")

        (line,) = lines(stream)
        assert "ZeroDivisionError: broken" in str(line["exception"])

    def test_capturing_twice_writes_each_line_once(self, stream: io.StringIO) -> None:
        log = make_log("sample-service", stream=stream)

        capture_library_logs(log)
        capture_library_logs(log)

        assert [type(handler) for handler in logging.getLogger().handlers] == [StructuredHandler]
