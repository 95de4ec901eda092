import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from service_chassis.database import Database
from service_chassis.database.migrations import is_current, migrate
from service_chassis.ids import uuid7
from service_chassis.messaging.tables import metadata
from user_service.model import (
    account,
    history,
    invitation,
    membership,
    notification,
    one_time_token,
    password_form,
    preferences,
    recovery,
    service_client,
    session,
    signing,
    throttle,
)
from user_service.model.account import Account
from user_service.model.history import HistoryEntry
from user_service.model.membership import Membership
from user_service.model.one_time_token import OneTimeToken
from user_service.model.tables import Entity
from user_service.model.user import NO_HOME, Role, User

MAPPED = (
    account.Account,
    history.AccountHistoryEntry,
    history.HistoryEntry,
    invitation.Invitation,
    membership.Membership,
    notification.Notification,
    one_time_token.OneTimeToken,
    password_form.PasswordForm,
    preferences.UserPreferences,
    recovery.RecoveryRequest,
    service_client.ServiceClient,
    session.Session,
    session.Revocation,
    signing.SigningKey,
    throttle.Throttle,
)
"""Naming them loads their modules, so that the metadata is complete."""


def test_the_migrations_make_what_the_model_maps(database: Database, migrations: Path) -> None:
    """S4-02, S4-20."""
    with database.engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True, "include_name": of_the_service}
        context = MigrationContext.configure(connection, opts=options)
        differences = compare_metadata(context, [metadata, Entity.metadata])

    assert differences == []
    assert is_current(database, migrations)
    assert {cls.__tablename__ for cls in MAPPED} | {"users"} == set(Entity.metadata.tables)


@pytest.fixture
def older(blank_database_url: str, migrations: Path, tmp_path: Path) -> Iterator[Database]:
    """A database of the release before users had an account of their own by name."""
    shutil.copytree(
        migrations, tmp_path / "older", ignore=shutil.ignore_patterns("000[4-9]_*", "00[1-9][0-9]_*", "__pycache__")
    )
    database = Database(blank_database_url)
    migrate(database, tmp_path / "older")
    yield database
    database.close()


def test_users_keep_the_account_they_registered_with_as_their_own(older: Database, migrations: Path) -> None:
    early, late = datetime(2029, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)
    with older.writing() as session:
        users = {name: add_user(session, name, at) for name, at in (("anna", late), ("bert", late), ("imke", early))}
        for account_id, created_at in ((1, early), (2, late), (3, late)):
            add_account(session, account_id, created_at)
        # Anna and bert registered with 2 and 3; anna and imke were taken into 1 later; bert's is gone.
        for account_id, name, revoked_at in (
            (1, "anna", None),
            (2, "anna", None),
            (3, "bert", late),
            (2, "imke", None),
        ):
            membership = {"account_id": account_id, "user_id": users[name], "role": 1, "version": 1}
            times = {"granted_at": late, "revoked_at": revoked_at}
            session.execute(insert(Membership.__table__).values(**membership, **times))

    migrate(older, migrations)

    with older.reading() as session:
        homes = dict(session.execute(select(User.name, User.home)).all())
    assert homes == {"anna": 2, "bert": NO_HOME, "imke": None}


def test_mailed_tokens_stay_good_and_one_for_each_address_has_room(older: Database, migrations: Path) -> None:
    now = datetime(2030, 1, 1, tzinfo=UTC)
    with older.writing() as session:
        same = {"user_id": add_user(session, "anna", now), "purpose": "undo_email_change", "expires_at": now}
        first, second = (
            {**same, "token_hash": email.encode(), "email": email, "created_at": now}
            for email in ("anna@example.com", "thief@example.com")
        )
        session.execute(insert(OneTimeToken.__table__).values(first))

    migrate(older, migrations)

    with older.writing() as session:
        session.execute(insert(OneTimeToken.__table__).values(second))
        assert set(session.scalars(select(OneTimeToken.email))) == {first["email"], second["email"]}


def test_of_memberships_from_before_only_those_in_own_accounts_count_as_agreed_to(
    older: Database, migrations: Path
) -> None:
    early, late = datetime(2029, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)
    with older.writing() as session:
        users = {name: add_user(session, name, at) for name, at in (("anna", early), ("bert", late))}
        add_account(session, 1, early)
        for name, granted_at in (("anna", early), ("bert", late)):
            membership = {"account_id": 1, "user_id": users[name], "role": 1, "version": 1, "granted_at": granted_at}
            session.execute(insert(Membership.__table__).values(membership))

    migrate(older, migrations)

    with older.reading() as session:
        agreed = dict(session.execute(select(Membership.user_id, Membership.consented_at)).all())
    assert agreed == {users["anna"]: early, users["bert"]: None}


def test_only_who_registered_and_has_not_confirmed_counts_as_unproven(older: Database, migrations: Path) -> None:
    now = datetime(2030, 1, 1, tzinfo=UTC)
    actions = {"anna": [], "bert": ["user_email_verified"], "carl": ["authn_password_change"]}
    with older.writing() as session:
        for name, later in actions.items():
            same = {"user_id": add_user(session, name, now), "actor": "self", "at": now}
            for action in ("user_registered", *later):
                session.execute(insert(HistoryEntry.__table__).values(id=uuid7(), action=action, **same))
        add_user(session, "olga", now)

    migrate(older, migrations)

    with older.reading() as session:
        assert list(session.scalars(select(User.name).where(User.is_unproven))) == ["anna"]


def test_the_forms_of_hashes_that_are_stored_are_known(older: Database, migrations: Path) -> None:
    now, hashes = (
        datetime(2030, 1, 1, tzinfo=UTC),
        {"anna": "$2b$12$" + "." * 53, "bert": "$2b$12$" + "A" * 53, "carl": "?"},
    )
    with older.writing() as session:
        for name, stored in hashes.items():
            user = add_user(session, name, now)
            session.execute(update(User.__table__).where(User.__table__.c.id == user).values(password_hash=stored))

    migrate(older, migrations)

    with older.reading() as session:
        assert list(session.scalars(select(password_form.PasswordForm.form))) == ["$2b$12$"]


def add_user(session: Session, name: str, registered_at: datetime) -> UUID:
    user = User.register(f"{name}@example.com", name, Role.USER, None, at=registered_at)
    kept = {column.name: getattr(user, column.name) for column in User.__table__.columns}
    later = {"number", "username", "home_account_id", "device_generation", "is_unproven", "purged_at"}
    session.execute(insert(User.__table__).values({key: value for key, value in kept.items() if key not in later}))
    return user.id


def add_account(session: Session, account_id: int, created_at: datetime) -> None:
    values = {"id": account_id, "name": "", "sealed_token": "", "token_hash": "", "version": 1}
    session.execute(insert(Account.__table__).values(**values, created_at=created_at, updated_at=created_at))


def of_the_service(name: str | None, kind: str, _: object) -> bool:
    """Pass over the tables in which alembic keeps how far a database has come."""
    return kind != "table" or not str(name).startswith("alembic_version")


def test_addresses_get_the_one_spelling_of_their_mailbox_and_nobody_becomes_somebody_else(
    older: Database, migrations: Path, caplog: pytest.LogCaptureFixture
) -> None:
    now = datetime(2030, 1, 1, tzinfo=UTC)
    kept_before = {"anna": "anna@xn--mnchen-3ya.de", "bert": "bert@xn--mnchen-3ya.de", "berta": "bert@m\u00fcnchen.de"}
    with older.writing() as session:
        ids = {name: add_user(session, name, now) for name in (*kept_before, "carl")}
        for name, email in kept_before.items():
            session.execute(update(User.__table__).where(User.id == ids[name]).values(email=email))

    migrate(older, migrations)

    with older.reading() as session:
        emails = dict(session.execute(select(User.name, User.email)).all())
    assert emails == kept_before | {"anna": "anna@m\u00fcnchen.de", "carl": "carl@example.com"}
    (told,) = [record.getMessage() for record in caplog.records if record.name == "user_service"]
    assert ids["bert"].hex in told.replace("-", "")
    assert ids["berta"].hex in told.replace("-", "")
