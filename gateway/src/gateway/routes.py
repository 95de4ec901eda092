"""Which path belongs to which service, and under which conditions; whatever is not here is not found."""

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto

USER, TASK, CLEANUP, DELIVERY = "user-service", "task-service", "cleanup-service", "delivery-service"

METHODS = frozenset({"DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"})
SAFE = frozenset({"GET", "HEAD"})
"""Methods that change nothing."""
PUBLIC_BODY_BYTES = 65_536
"""The largest body of a request that anybody may send."""


class Access(Enum):
    """What a caller needs."""

    PUBLIC = auto()
    SIGNED_IN = auto()
    ADMINISTRATIVE = auto()
    """A live session, certainly: not even reading goes on while ended sessions cannot be told."""


@dataclass(frozen=True, slots=True)
class Route:
    """A path, with everything below it unless it stands alone; `{}` is any one segment."""

    path: str
    service: str
    access: Access = Access.SIGNED_IN
    methods: frozenset[str] = METHODS
    alone: bool = False
    takes_key: bool = True
    """Whether a repeat under the same idempotency key does nothing new."""
    ends_session: bool = False
    """Whether the caller's session is over once the service has said yes."""
    deadline: timedelta | None = None
    body_limit: int | None = None
    """Where these differ from the gateway's own."""


def public(path: str, service: str = USER, *, methods: frozenset[str] = METHODS, takes_key: bool = False) -> Route:
    """Return the route of one path that needs no token."""
    return Route(path, service, Access.PUBLIC, methods, alone=True, takes_key=takes_key, body_limit=PUBLIC_BODY_BYTES)


ROUTES = (
    # The first that fits counts.
    public("/.well-known/jwks.json"),
    public("/api/v1/users", methods=frozenset({"POST"}), takes_key=True),
    public("/api/v1/auth/login"),
    public("/api/v1/auth/opaque-token"),
    public("/api/v1/auth/refresh"),
    public("/api/v1/auth/token"),
    public("/api/v1/auth/verify-email"),
    public("/api/v1/auth/verify-email/resend"),
    public("/api/v1/auth/email-change/confirm"),
    public("/api/v1/auth/email-change/undo"),
    public("/api/v1/auth/password-reset"),
    public("/api/v1/auth/password-reset/confirm"),
    Route("/api/v1/auth/logout", USER, methods=frozenset({"POST"}), alone=True, takes_key=False, ends_session=True),
    Route("/api/v1/auth", USER, takes_key=False),
    Route("/api/v1/users/profile", USER, methods=frozenset({"DELETE"}), alone=True, ends_session=True),
    Route("/api/v1/users", USER),
    Route("/api/v1/accounts/{}/destinations", DELIVERY),
    Route("/api/v1/accounts/{}/logs", DELIVERY),
    Route("/api/v1/accounts", USER),
    Route("/api/v1/notifications", USER),
    Route("/api/v1/email/status", USER),
    Route("/api/v1/push/status", USER),
    Route("/api/v1/tasks/consequences", TASK, Access.ADMINISTRATIVE),
    Route("/api/v1/tasks", TASK),
    Route("/api/v1/cleanup", CLEANUP, Access.ADMINISTRATIVE),
    Route("/api/v1/reports", CLEANUP),
    Route("/api/v1/ingest", DELIVERY),
    Route("/api/v1/destinations", DELIVERY),
    Route("/api/v1/deliveries", DELIVERY),
    Route("/api/v1/events", DELIVERY),
    Route("/api/v1/templates", DELIVERY),
)
DEMO_ROUTES = (public("/demo/mail", DELIVERY, methods=SAFE),)
"""What only the demo profile has."""
