"""The unit of work of cleanup-service: the chassis's, with this service's repositories."""

from functools import cached_property

from cleanup_service.persistence.known_users import KnownUserRepository
from cleanup_service.persistence.runs import RunRepository
from service_chassis.unit_of_work import UnitOfWork as ChassisUnitOfWork


class UnitOfWork(ChassisUnitOfWork):
    @cached_property
    def known_users(self) -> KnownUserRepository:
        return KnownUserRepository(self.session)

    @cached_property
    def runs(self) -> RunRepository:
        return RunRepository(self.session)
