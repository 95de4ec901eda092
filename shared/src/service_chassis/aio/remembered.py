"""A value that is worth remembering for a while, made by one task for all who ask."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Generic, TypeVar

T = TypeVar("T")


class Remembered(Generic[T]):
    """Asks `make` when there is no value or it is too old; how old it may become, `lifetime` says for each value."""

    def __init__(
        self,
        make: Callable[[], Awaitable[T]],
        lifetime: Callable[[T], timedelta],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make = make
        self._lifetime = lifetime
        self._now = now
        self._making = asyncio.Lock()
        self._values: list[T] = []
        self._until = -math.inf

    async def get(self) -> T:
        """Return the value; raises what making it raises."""
        async with self._making:
            if self._now() >= self._until:
                value = await self._make()
                self._values = [value]
                self._until = self._now() + self._lifetime(value).total_seconds()
            return self._values[0]
