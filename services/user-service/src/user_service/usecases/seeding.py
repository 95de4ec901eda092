"""What must be there before the first request.

That is a key to sign with, the services that call this one and, in a demo, somebody to sign in as.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from service_chassis.settings import SettingsError
from service_chassis.unit_of_work import Units
from user_service.model.passwords import Passwords
from user_service.model.user import Role, User
from user_service.persistence.unit_of_work import UnitOfWork
from user_service.usecases import registration, service_clients, signing_keys


@dataclass(frozen=True, slots=True)
class DemoAdmin:
    email: str
    username: str | None
    name: str
    password: str

    def holders(self, uow: UnitOfWork) -> list[User]:
        """Return who has one of these names."""
        named = None if self.username is None else uow.users.by_username(self.username)
        addressed = uow.users.by_email(self.email)
        return list({user.id: user for user in (named, addressed) if user is not None}.values())


DEMO_ADMINS = (
    DemoAdmin("admin@example.com", None, "Demo Admin", "adminpass"),
    DemoAdmin("superuser@example.com", "admin", "Demo Superuser", "admin"),
)


def seed(
    units: Units[UnitOfWork], secret: str, passwords: Passwords, clients: Mapping[str, str], *, demo: bool
) -> None:
    """Put in what is missing; harmless when nothing is, also when several processes start at once.

    `clients` are services and their secrets; one that has another secret now is let in with that one alone. The
    demo's admins are put in where there is no admin at all, and do not come back one by one.
    """
    if not demo:
        _refuse_demo_admins(units, passwords)
    with units.read() as uow:
        if _is_complete(uow, passwords.form, clients, demo=demo):
            return
    lock = units.database.lock("seed")
    while not lock.acquire():
        units.database.wakeup.wait(0.1)
    try:
        _fill(units, secret, passwords, clients, demo=demo)
    finally:
        lock.release()


def _is_complete(uow: UnitOfWork, form: str, clients: Mapping[str, str], *, demo: bool) -> bool:
    has_people = uow.users.has_active_admin() or not demo
    has_form = form in uow.password_forms.all()
    return has_form and has_people and bool(uow.signing_keys.all()) and service_clients.are_let_in(uow, clients)


def _refuse_demo_admins(units: Units[UnitOfWork], passwords: Passwords) -> None:
    """Do not serve with a password that everybody knows; raises SettingsError."""
    with units.read() as uow:
        holders = [(demo.password, user) for demo in DEMO_ADMINS for user in demo.holders(uow)]
    known = [
        f"STEWARD_PROFILE is production, but {user.email} still has the demo password."
        for password, user in holders
        if user.is_active and passwords.matches(password, user.password_hash)
    ]
    if known:
        raise SettingsError(known)


def _fill(
    units: Units[UnitOfWork], secret: str, passwords: Passwords, clients: Mapping[str, str], *, demo: bool
) -> None:
    hashes = {each: passwords.hash(each.password) for each in DEMO_ADMINS if demo}
    with units.write() as uow:
        signing_keys.ensure(uow, secret)
        # With other settings it is another one, and users have hashes of both.
        uow.password_forms.add({passwords.form})
        service_clients.ensure(uow, clients)
        if uow.users.has_active_admin():
            return
        for each, password_hash in hashes.items():
            if not each.holders(uow):
                _register(uow, each, password_hash)


def _register(uow: UnitOfWork, demo: DemoAdmin, password_hash: str) -> None:
    admin = registration.register(
        uow, demo.email, demo.name, password_hash, role=Role.ADMIN, by="demo-profile", username=demo.username
    )
    admin.email_verified_at = uow.now
