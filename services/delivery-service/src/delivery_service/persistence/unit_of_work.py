"""The unit of work of delivery-service: the chassis's, with this service's repositories."""

from functools import cached_property

from delivery_service.persistence.mails import MailRepository
from service_chassis.unit_of_work import UnitOfWork as ChassisUnitOfWork


class UnitOfWork(ChassisUnitOfWork):
    @cached_property
    def mails(self) -> MailRepository:
        return MailRepository(self.session)
