"""The owner of states behind HTTP."""

from collections.abc import Callable, Sequence
from datetime import timedelta

from service_chassis.breaker import Breaker, BreakerRules
from service_chassis.clients import Pool, ServiceClient
from service_chassis.snapshots.exchanged import Digests, DigestsAsked, Owner, Page, Range

WITHIN = timedelta(seconds=30)
LONGEST_PAGE = 32 * 1024 * 1024
PAUSE = timedelta(seconds=1)


class RemoteOwner:
    def __init__(self, client: ServiceClient) -> None:
        self._client = client

    def page(self, name: str, asked: Range) -> Page:
        query = {"cursor": asked.after} | ({} if asked.to is None else {"to": asked.to})
        return self._client.get(_path(name), Page, query)

    def digests(self, name: str, ranges: Sequence[Range], parts: int) -> Digests:
        return self._client.ask(f"{_path(name)}/digests", DigestsAsked(list(ranges), parts), Digests)


def owner_at(url: str, token: Callable[[], str]) -> Owner:
    """Return the owner of states at an address, whose breaker is not that of the calls requests wait for."""
    breaker = Breaker("snapshots", BreakerRules(open_for=PAUSE))
    transport = Pool(longest_body=LONGEST_PAGE)
    return RemoteOwner(ServiceClient(url, breaker=breaker, token=token, within=WITHIN, transport=transport))


def _path(name: str) -> str:
    return f"/internal/snapshots/{name}"
