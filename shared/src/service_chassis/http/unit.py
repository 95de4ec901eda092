"""The request's transaction: opened when the view first asks for it, committed before the answer leaves."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, cast

from flask import Response, g, request

from service_chassis.errors import ServiceError
from service_chassis.http.answer_store import Claim, StoredAnswer
from service_chassis.http.idempotency import claim_of_request, replayed, to_store
from service_chassis.http.kit import kit
from service_chassis.http.marks import SAFE, marks_of_request
from service_chassis.unit_of_work import UnitOfWork


class Answered(Exception):
    """The request has its answer, and its transaction shall leave nothing behind."""

    def __init__(self, response: Response) -> None:
        self.response = response
        super().__init__(response.status)


class RequestUnit:
    """The one unit of work of a request, if the view asks for it."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._unit: UnitOfWork | None = None
        self._claim: Claim | None = None
        self.apart = False
        """Whether a short transaction is open; two at a time would wait for each other."""

    @property
    def is_open(self) -> bool:
        return self._unit is not None

    def uow(self) -> UnitOfWork:
        """Return the unit, opened at the first call: for writing, unless the method is a safe one."""
        if self.apart:
            raise RuntimeError("A short transaction is open; use the unit it gives.")
        if self._unit is None:
            self._unit = self._reading() if request.method in SAFE else self._writing()
        return self._unit

    def settle(self, response: Response) -> None:
        """Remember a good answer under the request's key; a bad one undoes everything."""
        if response.status_code >= 400:
            raise Answered(response)
        if self._unit is None or self._claim is None:
            return
        if response.status_code < 300:
            kit().answers.keep(self._unit.session, self._claim, to_store(response))
        else:
            self.give_key_back()

    def give_key_back(self) -> None:
        """Leave the key to the next request that names it."""
        if self._unit is not None and self._claim is not None:
            kit().answers.release(self._unit.session, self._claim)

    def _reading(self) -> UnitOfWork:
        return cast("UnitOfWork", self._stack.enter_context(kit().units.read()))

    def _writing(self) -> UnitOfWork:
        self._claim = claim_of_request()
        unit: UnitOfWork = self._stack.enter_context(kit().units.write())
        if self._claim is not None:
            answer = kit().answers.claim(unit.session, self._claim, unit.now)
            if answer is not None:
                self._unit = unit
                _check_again(answer)
                raise Answered(replayed(answer))
        return unit


def _check_again(answer: StoredAnswer) -> None:
    """Raise if the caller has lost the right to see a kept answer since it was given."""
    check = marks_of_request().may_see_again
    if check is not None:
        check(json.loads(answer.body)["data"])


@contextmanager
def transaction() -> Iterator[RequestUnit]:
    """Commit the request's unit at the end of the block; roll it back when the block raises.

    An error whose class keeps its effects commits and is raised after that.
    """
    kept: ServiceError | None = None
    with ExitStack() as stack:
        g.unit = RequestUnit(stack)
        try:
            yield g.unit
        except ServiceError as error:
            if not error.keeps_effects:
                raise
            g.unit.give_key_back()
            kept = error
        finally:
            del g.unit
    if kept is not None:
        raise kept


def uow() -> Any:
    """Return the request's unit of work, of the class the service made its units with."""
    return _unit().uow()


@contextmanager
def short_read() -> Iterator[Any]:
    """Read in a transaction that ends with the block, before the view does something slow."""
    with _apart(), kit().units.read() as unit:
        yield unit


@contextmanager
def question() -> Iterator[Any]:
    """Ask a single question, which takes a third of the round trips of a transaction, for what is asked all day."""
    with _apart(), kit().units.ask() as unit:
        yield unit


@contextmanager
def short_write() -> Iterator[Any]:
    """Write in a transaction that ends, and commits, with the block.

    The answer is not known by then, so a view that does this takes no idempotency key.
    """
    if request.method not in SAFE and marks_of_request().takes_key:
        raise RuntimeError("Mark the view with @takes_no_key, or write in uow(), where a key is honoured.")
    with _apart(), kit().units.write() as unit:
        yield unit


@contextmanager
def _apart() -> Iterator[None]:
    unit = _unit()
    if unit.is_open or unit.apart:
        raise RuntimeError("The request has a transaction open already.")
    unit.apart = True
    try:
        yield
    finally:
        unit.apart = False


def _unit() -> RequestUnit:
    return cast("RequestUnit", g.unit)
