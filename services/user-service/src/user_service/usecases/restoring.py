"""After this service's database was restored to an earlier instant."""

from service_chassis.snapshots import epochs
from user_service.model.account import Account
from user_service.model.membership import Membership
from user_service.model.user import User
from user_service.persistence.unit_of_work import UnitOfWork

OWNED = (User.version, Account.version, Membership.version)


def begin_epoch(uow: UnitOfWork) -> int:
    """Make everything this service says from now on newer than whatever it has said, and return the epoch.

    Others may have heard of versions that this database has never seen.
    """
    epoch = epochs.begin(uow.session, uow.now)
    for version in OWNED:
        epochs.move(uow.session, version, epoch)
    return epoch
