"""The errors of the system: a small tree of types, each with a stable code and an HTTP status.

    ServiceError
    ├── Invalid             400  the request's shape or values are wrong
    ├── Unauthenticated     401  who calls is not known
    ├── Forbidden           403  the caller may not do this
    ├── NotFound            404
    ├── Conflict            409  the present state does not allow it
    ├── TooLarge            413
    ├── Unprocessable       422  well-formed, but refers to what cannot be used
    ├── TooManyRequests     429
    └── Unavailable         503  a part this needs is away; try again

Services derive their own (`class LastAdmin(Conflict): code = "last_admin"`), so that error to status is
decided once, where the error is declared. The docstring's first line is the default message.
"""

import inspect
from collections.abc import Mapping
from typing import Any, ClassVar


class ServiceError(Exception):
    """Something went wrong."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    keeps_effects: ClassVar[bool] = False
    """Whether what was written before the error is committed all the same, as when a stolen token ends its session."""

    def __init__(
        self,
        message: str | None = None,
        *,
        fields: Mapping[str, Any] | None = None,
        retry_after: float | None = None,
    ) -> None:
        """Keep what the answer needs: a message, errors by field, and seconds until a retry makes sense."""
        self.message = message or (inspect.getdoc(type(self)) or "").split("\n")[0]
        self.fields = dict(fields or {})
        self.retry_after = retry_after
        super().__init__(self.message)


class Invalid(ServiceError):
    """The request is not valid."""

    status = 400
    code = "invalid_request"


class Unauthenticated(ServiceError):
    """Authentication is required."""

    status = 401
    code = "unauthenticated"


class Forbidden(ServiceError):
    """You are not allowed to do this."""

    status = 403
    code = "forbidden"


class NotFound(ServiceError):
    """There is nothing here."""

    status = 404
    code = "not_found"


class Conflict(ServiceError):
    """The present state does not allow this."""

    status = 409
    code = "conflict"


class TooLarge(ServiceError):
    """The request body is too large."""

    status = 413
    code = "body_too_large"


class Unprocessable(ServiceError):
    """The request refers to something that cannot be used."""

    status = 422
    code = "unprocessable"


class TooManyRequests(ServiceError):
    """Too many requests."""

    status = 429
    code = "too_many_requests"


class Unavailable(ServiceError):
    """The service cannot do this right now."""

    status = 503
    code = "unavailable"
