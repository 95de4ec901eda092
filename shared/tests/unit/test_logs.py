import io
import json
import logging
import re
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
    """S4-33."""
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


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_a_line_is_for_people_and_coloured() -> None:
    terminal = Terminal()

    with correlated(Correlation("01a21a05-ab37-7fe7-afc5-0e8f9d965f33", causation_id="event-3")):
        make_log("task-service", stream=terminal).warning("tasks_swept", missed=3)

    (line,) = terminal.getvalue().splitlines()
    plain = re.sub(r"\x1b\[[0-9;]*m", "", line)
    assert plain != line
    assert re.match(r"\d\d:\d\d:\d\d \[warning +\] tasks_swept +\[task-service +\] ", plain)
    assert plain.endswith("missed=3 id=9d965f33")


def test_the_form_can_be_chosen_whatever_the_stream_is(stream: io.StringIO) -> None:
    terminal = Terminal()

    make_log("task-service", form="json", stream=terminal).info("tasks_swept")
    make_log("task-service", form="console", stream=stream).info("tasks_swept")

    assert json.loads(terminal.getvalue())["event"] == "tasks_swept"
    assert not stream.getvalue().startswith("{")
    assert "\x1b" not in stream.getvalue()


def test_an_exception_is_readable_on_a_terminal() -> None:
    terminal = Terminal()

    try:
        raise ZeroDivisionError("broken")
    except ZeroDivisionError:
        make_log("task-service", stream=terminal).exception("job_failed")

    assert "broken" in terminal.getvalue()


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
