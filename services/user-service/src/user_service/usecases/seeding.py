"""What must be there before the first request: a key to sign with and, in a demo, somebody to sign in as."""

from service_chassis.settings import SettingsError
from service_chassis.unit_of_work import Units
from user_service.model.passwords import Passwords
from user_service.model.user import Role
from user_service.persistence.unit_of_work import UnitOfWork
from user_service.usecases import registration
from user_service.usecases.tokens import ensure_signing_key

DEMO_ADMIN = ("admin@example.com", "adminpass")


def seed(units: Units[UnitOfWork], secret: str, passwords: Passwords, *, demo: bool) -> None:
    """Put in what is missing; harmless when nothing is, also when several processes start at once."""
    if not demo:
        _refuse_demo_admin(units, passwords)
    with units.read() as uow:
        complete = bool(uow.signing_keys.all()) and (not demo or uow.users.has_active_admin())
    if complete:
        return
    lock = units.database.lock("seed")
    while not lock.acquire():
        units.database.wakeup.wait(0.1)
    try:
        _fill(units, secret, passwords, demo=demo)
    finally:
        lock.release()


def _refuse_demo_admin(units: Units[UnitOfWork], passwords: Passwords) -> None:
    """Do not serve with a password that everybody knows; raises SettingsError."""
    email, password = DEMO_ADMIN
    with units.read() as uow:
        admin = uow.users.by_email(email)
    if admin is not None and admin.is_active and passwords.matches(password, admin.password_hash):
        raise SettingsError([f"STEWARD_PROFILE is production, but {email} still has the demo password."])


def _fill(units: Units[UnitOfWork], secret: str, passwords: Passwords, *, demo: bool) -> None:
    email, password = DEMO_ADMIN
    password_hash = passwords.hash(password) if demo else ""
    with units.write() as uow:
        ensure_signing_key(uow, secret)
        if demo and not uow.users.has_active_admin() and uow.users.by_email(email) is None:
            registration.register(uow, email, "Demo Admin", password_hash, role=Role.ADMIN, by="demo-profile")
