"""What a cache can do. It may forget anything at any time, and never holds up who asks."""

from typing import Any, Protocol


class Cache(Protocol):
    """Values of JSON by key, each with the version of what it shows."""

    def get(self, key: str) -> Any:
        """Return the value, or None where it is not known or the cache cannot be reached."""

    def put(self, key: str, value: Any, *, version: int) -> None:
        """Remember what was read, unless something newer is known.

        So who read before a change and puts after it brings nothing old back.
        """

    def change(self, key: str, value: Any, *, version: int) -> None:
        """Remember what has changed, at once or, where the cache cannot be reached, before it is asked again."""

    def problem(self) -> str | None:
        """Say what is wrong with the cache, found out by a round trip, or None."""
