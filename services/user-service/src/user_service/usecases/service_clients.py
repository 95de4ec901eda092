"""Services that call others in their own name."""

from collections.abc import Collection, Mapping
from datetime import timedelta

from user_service.model.device import Client
from user_service.model.errors import InvalidClient
from user_service.model.secret import Secret, digest_of
from user_service.model.service_client import OWN_SERVICES, Scope, ServiceClient
from user_service.persistence.unit_of_work import UnitOfWork
from user_service.usecases import throttling
from user_service.usecases.throttling import Attempts
from user_service.usecases.tokens import AccessToken, Tokens

ACCESS = timedelta(minutes=10)
"""How long a service's token lives at most: it belongs to no session that could be ended."""


def create(uow: UnitOfWork, client_id: str, scopes: Collection[Scope]) -> Secret:
    """Let a service in under this name, with a new secret; one it had before is worth nothing from now on."""
    secret = Secret.new()
    uow.service_clients.add(ServiceClient.create(client_id, secret, scopes, at=uow.now))
    return secret


def are_let_in(uow: UnitOfWork, secrets: Mapping[str, str]) -> bool:
    """Say whether all these services are let in with these secrets."""
    return not _changed(uow, secrets)


def ensure(uow: UnitOfWork, secrets: Mapping[str, str]) -> None:
    """Let these services in with these secrets; others are left alone, and so is what strangers may ask for."""
    for client_id, plain in _changed(uow, secrets).items():
        secret, scopes = Secret(plain, digest_of(plain)), _scopes(uow, client_id)
        uow.service_clients.add(ServiceClient.create(client_id, secret, scopes, at=uow.now))


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
    def is_as_it_should_be(client_id: str, secret: str) -> bool:
        known = _let_in(uow, client_id, secret)
        return known is not None and known.scopes == _scopes(uow, client_id)

    return {client_id: secret for client_id, secret in secrets.items() if not is_as_it_should_be(client_id, secret)}


def _scopes(uow: UnitOfWork, client_id: str) -> Collection[str]:
    known = uow.service_clients.by_client_id(client_id)
    return OWN_SERVICES.get(client_id, known.scopes if known is not None else frozenset())


def _let_in(uow: UnitOfWork, client_id: str, secret: str) -> ServiceClient | None:
    known = uow.service_clients.by_client_id(client_id)
    return known if known is not None and known.knows(secret) else None
