"""Structured logs: one JSON object a line, the correlation id in each.

A logger is made per service and handed on; nothing global is configured, so that several services log in
one process without seeing each other.
"""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

from service_chassis import correlation

Log = structlog.typing.FilteringBoundLogger


def make_log(service: str, *, level: str = "INFO", stream: TextIO | None = None) -> Log:
    """Return the logger of a service; it writes to standard error unless told otherwise."""
    return structlog.wrap_logger(  # type: ignore[no-any-return]  # structlog types it as Any
        structlog.WriteLogger(stream or sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        processors=[
            _add_correlation,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(default=str),
        ],
        context_class=dict,
        service=service,
    )


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
