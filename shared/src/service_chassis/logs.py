"""Structured logs, the correlation id in each line: for people on a terminal, one JSON object a line elsewhere.

A logger is made per service and handed on; nothing global is configured, so that several services log in
one process without seeing each other.
"""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog
from structlog.typing import Processor

from service_chassis import correlation

Log = structlog.typing.FilteringBoundLogger

FORMATS = ("auto", "console", "json")
SHORT_ID = 8
"""Characters of a correlation id on a terminal: enough to find its lines again."""
SERVICE_WIDTH = len("delivery-service")


def make_log(service: str, *, level: str = "INFO", form: str = "auto", stream: TextIO | None = None) -> Log:
    """Return the logger of a service; it writes to standard error unless told otherwise.

    `form` is one of FORMATS; `auto` writes for people where the stream is a terminal, and JSON elsewhere.
    """
    stream = stream or sys.stderr
    readable = form == "console" or (form == "auto" and stream.isatty())
    return structlog.wrap_logger(  # type: ignore[no-any-return]  # structlog types it as Any
        structlog.WriteLogger(stream),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        processors=[
            _add_correlation,
            structlog.processors.add_log_level,
            *(_for_people(colors=stream.isatty()) if readable else _for_machines()),
        ],
        context_class=dict,
        service=service,
    )


def _for_machines() -> list[Processor]:
    return [
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(default=str),
    ]


def _for_people(*, colors: bool) -> list[Processor]:
    return [
        structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
        _shorten,
        structlog.dev.ConsoleRenderer(
            colors=colors,
            pad_event_to=24,
            sort_keys=False,
            # The one for rich shows local variables, secrets among them.
            exception_formatter=structlog.dev.plain_traceback,
        ),
    ]


def _shorten(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Put the service where the renderer shows a logger's name, and keep of the ids what people can compare."""
    line["logger"] = str(line.pop("service", "")).ljust(SERVICE_WIDTH)
    line.pop("causation_id", None)
    if correlation_id := line.pop("correlation_id", None):
        line["id"] = str(correlation_id)[-SHORT_ID:]
    return line


def _add_correlation(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    ids = correlation.current()
    line["correlation_id"] = ids.correlation_id if ids else None
    if ids and ids.causation_id:
        line["causation_id"] = ids.causation_id
    return line


class StructuredHandler(logging.Handler):
    """Brings what libraries log through the standard module into the same stream and form."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        self._log.log(record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info or None)


def capture_library_logs(log: Log, *, level: int = logging.WARNING) -> None:
    """Send the standard library's log records to `log`; a process does this once, at its entry point."""
    root = logging.getLogger()
    root.handlers[:] = [StructuredHandler(log)]
    root.setLevel(level)
