"""No caller takes all turns at a service: what one has under way is limited before any breaker or queue hears of it."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from service_chassis.errors import TooManyRequests

LEAST = 16
"""Requests that anybody may have under way, as a browser with a few pages does."""


class Callers:
    """Counts in this process, by user or, where nobody has signed in, by address."""

    def __init__(self, upstream_requests: int) -> None:
        """Let a caller have half of what a service is given at a time."""
        self._most = max(LEAST, upstream_requests // 2)
        self._under_way: Counter[str] = Counter()

    @contextmanager
    def one_more(self, caller: str) -> Iterator[None]:
        """Count a request while it is under way. Raises TooManyRequests."""
        if self._under_way[caller] >= self._most:
            raise TooManyRequests("You have too many requests under way.", retry_after=1)
        self._under_way[caller] += 1
        try:
            yield
        finally:
            self._under_way[caller] -= 1
            if not self._under_way[caller]:
                del self._under_way[caller]
