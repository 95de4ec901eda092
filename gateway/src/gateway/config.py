"""Settings of the gateway, read from the environment once."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

from gateway.routes import CLEANUP, DELIVERY, TASK, USER
from service_chassis.breaker import BreakerRules
from service_chassis.gateway_secret import gateway_secret
from service_chassis.logs import FORMATS
from service_chassis.settings import Environment, Network
from service_chassis.tokens.settings import SHARED_ALGORITHM, shared_secret

RATE_LIMIT = 100
"""Requests per second and address in production, unless a setting says otherwise."""
EVERYWHERE = "0.0.0.0/0,::/0"
LONGEST_GRACE = timedelta(seconds=5)
ALGORITHMS = ("RS256", "ES256", "EdDSA", SHARED_ALGORITHM)


@dataclass(frozen=True, slots=True)
class Settings:
    services: Mapping[str, str]
    """Where each service is; one without an address is not there."""
    port: int
    processes: int
    token_algorithm: str
    token_issuer: str
    token_audience: str
    token_secret: str | None
    """The shared secret, where tokens are signed with one."""
    deadline: timedelta
    body_limit: int
    body_within: timedelta
    """What every body is given to arrive; a long one gets more as it comes."""
    upstream_requests: int
    """Requests under way to one service; further ones wait a little for their turn."""
    rate_limit: int
    """Requests per second and address; 0 is no limit."""
    gateway_secret: str
    """What it shows the services, so that they believe it where a request comes from."""
    trusted_proxies: tuple[Network, ...]
    """Proxies in front, which are believed where a request comes from."""
    operators: tuple[Network, ...]
    """From where metrics and the state of each service are seen; others hear one word."""
    redis_url: str | None
    cors_origins: frozenset[str]
    breaker: BreakerRules
    demo: bool
    drain_grace: timedelta
    """How long new connections are still taken after SIGTERM, so that balancers see the readiness change."""
    log_level: str
    log_format: str
    unread: tuple[str, ...]

    @classmethod
    def read(cls, env: Mapping[str, str]) -> "Settings":
        """Read the settings. Raises SettingsError with everything that is wrong."""
        reader = Environment(env)
        algorithm = reader.choice("JWT_ALGORITHM", ALGORITHMS, default="RS256")
        settings = cls(
            services=_services(reader),
            port=reader.integer("GATEWAY_PORT", default=8000, minimum=1, maximum=65_535),
            processes=reader.integer("GATEWAY_PROCESSES", default=1, minimum=1),
            token_algorithm=algorithm,
            token_issuer=reader.text("JWT_ISSUER", default="steward"),
            token_audience=reader.text("JWT_AUDIENCE", default="steward"),
            token_secret=shared_secret(reader, algorithm),
            deadline=reader.seconds("GATEWAY_DEADLINE_SECONDS", default=15, minimum=0.1),
            body_limit=reader.integer("GATEWAY_BODY_LIMIT", default=1_048_576, minimum=1),
            body_within=reader.seconds("GATEWAY_BODY_SECONDS", default=5, minimum=0.1),
            upstream_requests=reader.integer("GATEWAY_UPSTREAM_REQUESTS", default=256, minimum=1),
            rate_limit=reader.integer("GATEWAY_RATE_LIMIT", default=0 if reader.demo else RATE_LIMIT),
            gateway_secret=gateway_secret(reader),
            trusted_proxies=reader.trusted_networks("GATEWAY_TRUSTED_PROXIES"),
            operators=reader.trusted_networks(
                "GATEWAY_OPERATORS",
                default=EVERYWHERE if reader.demo else "",
                otherwise="would show strangers what is going on",
            ),
            redis_url=reader.optional("REDIS_URL"),
            cors_origins=frozenset(reader.words("CORS_ALLOWED_ORIGINS")),
            breaker=BreakerRules(
                reader.integer("GATEWAY_BREAKER_FAILURES", default=5, minimum=1),
                reader.seconds("GATEWAY_BREAKER_SECONDS", default=60, minimum=0.1),
            ),
            demo=reader.demo,
            drain_grace=_drain_grace(reader),
            log_level=reader.choice("LOG_LEVEL", ("DEBUG", "INFO", "WARNING", "ERROR"), default="INFO"),
            log_format=reader.choice("LOG_FORMAT", FORMATS, default="auto"),
            unread=reader.unread("GATEWAY_", "CORS_"),
        )
        reader.finish()
        return settings


def _services(reader: Environment) -> Mapping[str, str]:
    addresses = {
        USER: reader.text("USER_SERVICE_URL", default="http://127.0.0.1:8001"),
        TASK: reader.optional("TASK_SERVICE_URL"),
        CLEANUP: reader.text("CLEANUP_SERVICE_URL", default="http://127.0.0.1:8003"),
        DELIVERY: reader.optional("DELIVERY_SERVICE_URL"),
    }
    services = {service: address.rstrip("/") for service, address in addresses.items() if address}
    for service, address in services.items():
        if not _is_origin(address):
            reader.problems.append(f"The address of {service} must be like http://host:port, not {address!r}.")
    return services


def _is_origin(address: str) -> bool:
    try:
        parts = urlsplit(address)
        whole = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        return False
    return bool(whole) and not (parts.path or parts.query or parts.fragment or parts.username)


def _drain_grace(reader: Environment) -> timedelta:
    grace = reader.seconds("GATEWAY_DRAIN_SECONDS", default=0 if reader.demo else 5)
    if grace > LONGEST_GRACE:
        reader.problems.append(f"GATEWAY_DRAIN_SECONDS must be at most {LONGEST_GRACE.total_seconds():g} seconds.")
    return grace
