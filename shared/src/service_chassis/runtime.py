"""The settings every service has: where its data is, how its processes run, and whose tokens it takes."""

from dataclasses import dataclass
from typing import Self

from service_chassis.breaker import BreakerRules
from service_chassis.installation import data_folder
from service_chassis.logs import FORMATS
from service_chassis.settings import Environment
from service_chassis.tokens.settings import SHARED_ALGORITHM, shared_secret

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
ALGORITHMS = ("RS256", SHARED_ALGORITHM)
"""Those user-service signs tokens with; one of them is accepted, the same everywhere."""


@dataclass(frozen=True, slots=True)
class Runtime:
    database_url: str
    database_pool: int
    broker_url: str
    bind: str
    worker_bind: str | None
    """Where a worker answers probes, if it is to."""
    web_processes: int
    web_threads: int
    breaker: BreakerRules
    """When what this process calls is left alone: other services, Redis, the broker."""
    log_level: str
    log_format: str
    token_issuer: str
    token_audience: str
    token_algorithm: str
    token_secret: str | None
    """What tokens are signed and verified with alike, where the algorithm is one with a shared secret."""

    @classmethod
    def read(cls, reader: Environment, service: str, *, port: int, pool: int = 20) -> Self:
        """Read the settings of a service, by the name it has everywhere, with its usual port and pool."""
        data = data_folder(reader.text("STEWARD_DATA", default=".data"))
        algorithm = reader.choice("JWT_ALGORITHM", ALGORITHMS, default="RS256")
        prefix = service.removesuffix("-service").upper()
        runtime = cls(
            database_url=reader.text("DATABASE_URL", default=f"sqlite:///{data}/{service}.db"),
            database_pool=reader.integer("DATABASE_POOL", default=pool, minimum=2),
            broker_url=reader.text("BROKER_URL", default=f"sqlite:///{data}/broker.db" if reader.demo else ""),
            bind=reader.text(f"{prefix}_SERVICE_BIND", default=f"127.0.0.1:{port}"),
            worker_bind=reader.optional(f"{prefix}_WORKER_BIND"),
            web_processes=reader.integer("WEB_PROCESSES", default=2 if reader.demo else 4, minimum=1),
            web_threads=reader.integer("WEB_THREADS", default=8, minimum=1),
            breaker=BreakerRules(
                reader.integer("BREAKER_FAILURES", default=5, minimum=1),
                reader.seconds("BREAKER_SECONDS", default=60, minimum=0.1),
            ),
            log_level=reader.choice("LOG_LEVEL", LEVELS, default="INFO"),
            log_format=reader.choice("LOG_FORMAT", FORMATS, default="auto"),
            token_issuer=reader.text("JWT_ISSUER", default="steward"),
            token_audience=reader.text("JWT_AUDIENCE", default="steward"),
            token_algorithm=algorithm,
            token_secret=shared_secret(reader, algorithm),
        )
        runtime._refuse_in_production(reader)
        return runtime

    def _refuse_in_production(self, reader: Environment) -> None:
        reader.refuse_in_production(
            "DATABASE_URL", when=self.database_url.startswith("sqlite"), because="replicas need a shared database."
        )
        reader.refuse_in_production(
            "BROKER_URL",
            when=self.broker_url.startswith("sqlite"),
            because="replicas need a broker that all of them reach.",
        )
