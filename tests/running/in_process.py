"""The embedded Steward inside the tests' own process, as often as wanted."""

import asyncio
import io
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devstack.embedded import Stack
from tests.running.door import Door
from tests.running.steward import SETTINGS

START_WITHIN = 30
STOP_WITHIN = 30


@dataclass(frozen=True, slots=True)
class InProcess:
    door: Door
    log: io.StringIO


@contextmanager
def in_process(folder: Path) -> Iterator[InProcess]:
    """Run a Steward with its data in `folder` on a loop of its own, until the end of the block."""
    log = io.StringIO()
    folder.mkdir()
    stack = Stack(SETTINGS, folder, port=0, host="127.0.0.1")
    with _loop() as run:
        # A logger writes to what was standard error when it was made.
        with redirect_stderr(log):
            run(stack.start(), START_WITHIN)
        try:
            yield InProcess(Door(f"http://127.0.0.1:{stack.port}"), log)
        finally:
            run(stack.stop(), STOP_WITHIN)


@contextmanager
def _loop() -> Iterator[Any]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def run(work: Coroutine[Any, Any, None], within: float) -> None:
        asyncio.run_coroutine_threadsafe(work, loop).result(within)

    try:
        yield run
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
