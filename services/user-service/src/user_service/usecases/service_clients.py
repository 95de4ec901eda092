"""Services that call others in their own name."""

from collections.abc import Mapping
from datetime import timedelta

from user_service.model.device import Client
from user_service.model.errors import InvalidClient
from user_service.model.secret import Secret, digest_of
from user_service.model.service_client import ServiceClient
from user_service.persistence.unit_of_work import UnitOfWork
from user_service.usecases import throttling
from user_service.usecases.throttling import Attempts
from user_service.usecases.tokens import AccessToken, Tokens

ACCESS = timedelta(minutes=10)
"""How long a service's token lives at most: it belongs to no session that could be ended."""


def create(uow: UnitOfWork, client_id: str) -> Secret:
    """Let a service in under this name, with a new secret; one it had before is worth nothing from now on."""
    secret = Secret.new()
    uow.service_clients.add(ServiceClient.create(client_id, secret, at=uow.now))
    return secret


def are_let_in(uow: UnitOfWork, secrets: Mapping[str, str]) -> bool:
    """Say whether all these services are let in with these secrets."""
    return not _changed(uow, secrets)


def ensure(uow: UnitOfWork, secrets: Mapping[str, str]) -> None:
    """Let these services in with these secrets; others are left alone."""
    for client_id, plain in _changed(uow, secrets).items():
        uow.service_clients.add(ServiceClient.create(client_id, Secret(plain, digest_of(plain)), at=uow.now))


def grant(
    uow: UnitOfWork, client_id: str, secret: str, client: Client, *, attempts: Attempts, tokens: Tokens
) -> AccessToken:
    """Return an access token for a service. Raises InvalidClient, TooManyAttempts."""
    attempt = attempts.of_address("client", client)
    throttling.check(uow, attempt)
    known = _let_in(uow, client_id, secret)
    if known is None:
        throttling.failed(uow, attempt)
        raise InvalidClient
    return tokens.of_service(uow, known, lifetime=min(ACCESS, tokens.rules.lifetime))


def _changed(uow: UnitOfWork, secrets: Mapping[str, str]) -> Mapping[str, str]:
    return {client_id: secret for client_id, secret in secrets.items() if _let_in(uow, client_id, secret) is None}


def _let_in(uow: UnitOfWork, client_id: str, secret: str) -> ServiceClient | None:
    known = uow.service_clients.by_client_id(client_id)
    return known if known is not None and known.knows(secret) else None
