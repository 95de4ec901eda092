"""What a view's decorators say about it, read before the view is called.

The last decorator of a view sees the marks of those before it, because functools.wraps hands attributes on.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from flask import current_app, request

from service_chassis.permissions import Permission

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing."""

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Marks:
    public: bool = False
    permission: Permission | None = None
    takes_key: bool = True
    """Whether a repeat under the same idempotency key returns the first answer."""
    may_see_again: Callable[[Any], None] | None = None
    """Raises when the caller may no longer see a first answer; called with its data before a repeat is answered."""
    query: frozenset[str] = frozenset()
    """The query parameters the view knows."""


_NONE = Marks()


def marks_of(view: Callable[..., Any] | None) -> Marks:
    return getattr(view, "marks", _NONE)


def marks_of_request() -> Marks:
    """Return the marks of the view that will answer the present request."""
    return marks_of(current_app.view_functions.get(request.endpoint or ""))


def marked(view: View, **changes: Any) -> View:
    """Return the view with some marks changed."""
    view.marks = replace(marks_of(view), **changes)  # type: ignore[attr-defined]  # functions take attributes
    return view


def repeated_if(may_see_again: Callable[[Any], None]) -> Callable[[View], View]:
    """Check anew, before a repeat gets the first answer, whether the caller may see it: for answers with secrets."""

    def decorate(view: View) -> View:
        return marked(view, may_see_again=may_see_again)

    return decorate


def takes_query(*names: str) -> Callable[[View], View]:
    """Let a view outside the blueprints' documentation read query parameters."""

    def decorate(view: View) -> View:
        return marked(view, query=frozenset(names))

    return decorate
