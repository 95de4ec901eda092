"""A cache in the memory of this process, bounded in number."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec

MOST_KEYS = 20_000
"""Values kept; those not asked for longest are forgotten first."""


@dataclass(frozen=True, slots=True)
class Entry:
    value: bytes
    version: int
    until: float


class MemoryCache:
    def __init__(self, lifetime: timedelta, *, now: Callable[[], float] = time.monotonic) -> None:
        self._lifetime = lifetime.total_seconds()
        self._now = now
        self._lock = threading.Lock()
        self._entries: OrderedDict[str, Entry] = OrderedDict()

    def get(self, key: str) -> Any:
        with self._lock:
            entry = self._live(key)
            if entry is None:
                return None
            self._entries.move_to_end(key)
        return msgspec.json.decode(entry.value)

    def put(self, key: str, value: Any, *, version: int) -> None:
        encoded = msgspec.json.encode(value)
        with self._lock:
            known = self._live(key)
            if known is not None and known.version > version:
                return
            self._entries[key] = Entry(encoded, version, self._now() + self._lifetime)
            self._entries.move_to_end(key)
            if len(self._entries) > MOST_KEYS:
                self._entries.popitem(last=False)

    def change(self, key: str, value: Any, *, version: int) -> None:
        self.put(key, value, version=version)

    def problem(self) -> None:
        return None

    def _live(self, key: str) -> Entry | None:
        entry = self._entries.get(key)
        return entry if entry is not None and self._now() < entry.until else None
