"""Publishing to RabbitMQ with pipelined confirms.

A whole batch is in flight before the first answer is awaited, and the wait has a deadline, which pika's own does not.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol

from service_chassis.messaging.broker import BrokerUnavailable, Message, Outcome

EXCHANGE_REFUSALS = {403, 404}
"""Codes the broker closes a channel with because the exchange may not be used or does not exist."""


class Link(Protocol):
    """A connection with one channel, whose I/O runs in a thread of its own."""

    channel: Any
    ended: threading.Event
    refusal: int | None
    """The code the broker closed the channel with."""

    def gone(self) -> BrokerUnavailable: ...
    def call(self, function: Callable[[], None]) -> None: ...
    def close(self) -> None: ...


OpenLink = Callable[[Callable[[Any, Callable[[], None]], None]], Link]
Send = Callable[[Any, Message], None]


class Unsendable(Exception):
    """The protocol has no form for this message."""


class Publisher:
    """Publishes over one link at a time, and tells the message the broker closes its channel for from the others."""

    def __init__(self, open_link: OpenLink, send: Send) -> None:
        self._open_link = open_link
        self._send = send
        self._line: _Line | None = None

    def publish(self, messages: Sequence[Message], deadline: float) -> list[Outcome]:
        """Publish all and return one outcome each. Raises BrokerUnavailable when nothing was sent."""
        if not messages:
            return []
        if self._line is None or not self._line.usable:
            self._line = _Line(self._open_link, self._send)
        line = self._line
        outcomes = line.publish(messages, deadline)
        if Outcome.UNKNOWN in outcomes:
            # Late answers would be taken for those of the next batch, so the link is not used again.
            self.close()
            if line.refusal is not None:
                self._find_refused(messages, outcomes, line.refusal, deadline)
        return outcomes

    def close(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None

    def _find_refused(
        self, messages: Sequence[Message], outcomes: list[Outcome], refusal: int, deadline: float
    ) -> None:
        """Settle what was not answered: the broker closed the channel because of one message, and all others suffer."""
        unanswered = [index for index, outcome in enumerate(outcomes) if outcome is Outcome.UNKNOWN]
        parts = list(_parts(messages, unanswered, refusal))
        if len(parts) == 1:
            for index in unanswered:
                outcomes[index] = Outcome.REFUSED
            return
        for part in parts:
            if time.monotonic() > deadline:
                return
            try:
                found = self.publish([messages[index] for index in part], deadline)
            except BrokerUnavailable:
                return
            for index, outcome in zip(part, found, strict=True):
                outcomes[index] = outcome


def _parts(messages: Sequence[Message], unanswered: Sequence[int], refusal: int) -> Iterator[list[int]]:
    """Cut in two, or by exchange where that is what was refused; a single part is what is to blame."""
    if refusal in EXCHANGE_REFUSALS:
        for exchange in dict.fromkeys(messages[index].exchange for index in unanswered):
            yield [index for index in unanswered if messages[index].exchange == exchange]
        return
    middle = len(unanswered) // 2
    yield from filter(None, (list(unanswered[:middle]), list(unanswered[middle:])))


class _Flight:
    """A batch on its way: which delivery tag belongs to which message, and what became of each."""

    def __init__(self, messages: Sequence[Message]) -> None:
        self.messages = messages
        self.outcomes = [Outcome.UNKNOWN] * len(messages)
        self.returned: set[str] = set()
        self.waiting: dict[int, int] = {}
        self.landed = threading.Event()

    def answer(self, tag: int, *, multiple: bool, confirmed: bool) -> None:
        tags = [waiting for waiting in self.waiting if waiting <= tag] if multiple else [tag]
        for known in tags:
            self._settle(known, confirmed=confirmed)
        self.check()

    def check(self) -> None:
        """Note when nothing is awaited any more."""
        if not self.waiting:
            self.landed.set()

    def _settle(self, tag: int, *, confirmed: bool) -> None:
        index = self.waiting.pop(tag, None)
        if index is None:
            return
        if not confirmed:
            self.outcomes[index] = Outcome.REFUSED
        elif self.messages[index].message_id in self.returned:
            self.outcomes[index] = Outcome.UNROUTABLE
        else:
            self.outcomes[index] = Outcome.CONFIRMED


class _Line:
    """One link, used for one batch after the other."""

    def __init__(self, open_link: OpenLink, send: Send) -> None:
        self._send_one = send
        self._tag = 0
        self._flight: _Flight | None = None
        self._link = open_link(self._set_up)

    @property
    def usable(self) -> bool:
        return not self._link.ended.is_set()

    @property
    def refusal(self) -> int | None:
        return self._link.refusal

    def publish(self, messages: Sequence[Message], deadline: float) -> list[Outcome]:
        flight = _Flight(messages)
        self._link.call(partial(self._send, flight))
        while not flight.landed.wait(0.05):
            if self._link.ended.is_set() or time.monotonic() > deadline:
                break
        return list(flight.outcomes)

    def close(self) -> None:
        self._link.close()

    def _set_up(self, channel: Any, ready: Callable[[], None]) -> None:
        channel.add_on_return_callback(self._returned)
        channel.confirm_delivery(self._answered, callback=lambda _: ready())

    def _send(self, flight: _Flight) -> None:
        self._flight = flight
        for index, message in enumerate(flight.messages):
            try:
                self._send_one(self._link.channel, message)
            except Unsendable:
                flight.outcomes[index] = Outcome.REFUSED
            else:
                self._tag += 1
                flight.waiting[self._tag] = index
        flight.check()

    def _returned(self, _: Any, __: Any, properties: Any, ___: bytes) -> None:
        if self._flight is not None:
            self._flight.returned.add(properties.message_id)

    def _answered(self, frame: Any) -> None:
        if self._flight is not None:
            confirmed = frame.method.NAME == "Basic.Ack"
            self._flight.answer(frame.method.delivery_tag, multiple=frame.method.multiple, confirmed=confirmed)
