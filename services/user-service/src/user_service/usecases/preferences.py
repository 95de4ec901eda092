"""Preferences, remembered in a cache: services ask for them far more often than anybody changes them."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from service_chassis.cache import Cache
from service_chassis.metrics import Metrics
from user_service.model.preferences import Wishes
from user_service.persistence.unit_of_work import UnitOfWork


class RememberedPreferences:
    def __init__(self, cache: Cache, metrics: Metrics) -> None:
        self._cache = cache
        self._metrics = metrics

    def problem(self) -> str | None:
        """Say what is wrong with the cache, or None."""
        return self._cache.problem()

    def of(self, user_id: UUID, uow: Callable[[], UnitOfWork]) -> Wishes:
        """Return what a user wants; the unit of work is asked for only if the cache does not know.

        Raises UserNotFound.
        """
        known = self._known(user_id)
        self._metrics.looked_up("preferences", hit=known is not None)
        if known is not None:
            return known
        user = uow().users.get(user_id)
        wishes = uow().preferences.of(user.id)
        self._cache.put(_key(user_id), wishes.plain(), version=wishes.version)
        return wishes

    def change(self, uow: UnitOfWork, user_id: UUID, *, email: bool | None, push: bool | None) -> Wishes:
        """Switch channels on or off; None leaves one as it is. Raises UserNotFound."""
        uow.users.locked(user_id)
        preferences = uow.preferences.to_change(user_id)
        preferences.change(email=email, push=push)
        wishes = preferences.wishes
        uow.after_commit(lambda: self._cache.change(_key(user_id), wishes.plain(), version=wishes.version))
        return wishes

    def _known(self, user_id: UUID) -> Wishes | None:
        value: dict[str, Any] | None = self._cache.get(_key(user_id))
        return None if value is None else Wishes(**value)


def _key(user_id: UUID) -> str:
    return f"user-service:preferences:{user_id}"
