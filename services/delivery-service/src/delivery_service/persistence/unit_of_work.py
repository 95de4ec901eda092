"""The unit of work of delivery-service: the chassis's, with this service's repositories."""

from functools import cached_property

from delivery_service.persistence.events import EventRepository
from delivery_service.persistence.leases import LeaseRepository
from delivery_service.persistence.mails import MailRepository
from delivery_service.persistence.outcomes import OutcomeRepository
from service_chassis.unit_of_work import UnitOfWork as ChassisUnitOfWork


class UnitOfWork(ChassisUnitOfWork):
    @cached_property
    def mails(self) -> MailRepository:
        return MailRepository(self.session)

    @cached_property
    def events(self) -> EventRepository:
        return EventRepository(self.session)

    @cached_property
    def leases(self) -> LeaseRepository:
        return LeaseRepository(self.session)

    @cached_property
    def outcomes(self) -> OutcomeRepository:
        return OutcomeRepository(self.session)
