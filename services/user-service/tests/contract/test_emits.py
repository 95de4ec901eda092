"""Everything the service says, checked against what it has promised to say."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from flask.testing import FlaskClient

import event_contracts as contracts
from event_contracts import Contract, DeactivationRequested
from service_chassis.clock import ManualClock
from service_chassis.ids import uuid7
from service_chassis.messaging import outbox
from service_chassis.messaging.envelope import decoded, received
from service_chassis.sealing import Seal
from service_chassis.service import Service
from service_chassis.testing.conformance.backbone import delivered_batch
from service_chassis.testing.plugin import only_sqlite
from user_service.model.actor import Actor
from user_service.model.user import Role, User
from user_service.usecases import accounts, activity
from user_service.usecases.importing import import_users
from user_service.usecases.notifying import notify

pytestmark = only_sqlite

EMITTED = {
    contracts.UserRegistered,
    contracts.UserUpdated,
    contracts.UserActivityRecorded,
    contracts.UserDeactivated,
    contracts.UserDeactivationRefused,
    contracts.UserReactivated,
    contracts.UserPurged,
    contracts.UserWatermark,
    contracts.AccountCreated,
    contracts.AccountUpdated,
    contracts.AccountDeleted,
    contracts.MembershipGranted,
    contracts.MembershipRevoked,
    contracts.NotificationReady,
}


@pytest.fixture
def everything_happened(
    service: Service,
    admin: FlaskClient,
    signed_in: Callable[..., FlaskClient],
    clock: ManualClock,
    deliver: Callable[..., None],
) -> None:
    """Somebody registers, signs in, takes a name, is switched off and on, is asked for by a run, and is erased."""
    body = {"email": "anna@example.com", "password": "correct horse", "name": "Anna"}
    anybody = admin.application.test_client()
    anna = UUID(anybody.post("/api/v1/users", json=body).get_json()["data"]["user"]["id"])
    signed_in("anna@example.com")
    admin.post(f"/api/v1/users/{anna}/deactivate", json={})
    admin.post(f"/api/v1/users/{anna}/reactivate", json={})
    for cutoff in (clock.now() - timedelta(days=30), clock.now() + timedelta(seconds=1)):
        request = DeactivationRequested(
            user_id=anna, run_id=uuid7(), cutoff=cutoff, exempt_roles=("admin",), requested_at=clock.now()
        )
        deliver(delivered_batch(clock, request))
    with service.units.write() as uow:
        activity.emit_watermark(uow)
        notify(uow, uow.users.get(anna), "welcome", {}, secrets={"token": "Anna's secret"})
    admin.patch(f"/api/v1/users/{anna}", json={"name": "Anna Lindqvist"})
    with service.units.write() as uow:
        accounts.rotate_token(uow, 2, Actor(anna, Role.USER), timedelta(hours=1))
    admin.post(f"/api/v1/users/{anna}/purge", json={})


@pytest.fixture
def imported(service: Service, tmp_path: Any) -> None:
    file = tmp_path / "users.csv"
    file.write_text(
        "email,role,is_active\nbert@example.com,manager,true\ncarla@example.com,user,false\n", encoding="utf-8"
    )
    import_users(service.units, file, tmp_path / "rejects.csv")


@pytest.mark.usefixtures("everything_happened", "imported")
def test_every_event_is_what_its_contract_says(service: Service) -> None:
    seen: dict[type[Contract], int] = {}
    with service.units.read() as uow:
        messages = [message for _, message in outbox.pending(uow.session, 1000)]
    for message in messages:
        for envelope in decoded(message.content_type, message.body):
            contract = contracts.by_type[envelope.type]
            event = received(envelope, contract)

            assert contracts.validated(event.data) == event.data
            assert (envelope.source, message.exchange, message.routing_key) == (
                contract.source,
                contract.exchange,
                contract.type,
            )
            assert envelope.dataschema == contracts.dataschema(contract)
            assert (event.version is not None) == (contract.kind == contracts.Kind.STATE)
            assert event.subject == event.data.subject
            seen[contract] = seen.get(contract, 0) + 1
    assert seen.keys() == EMITTED


@pytest.mark.usefixtures("everything_happened")
def test_secrets_travel_sealed_and_delivery_service_can_open_them(
    service: Service, published: Callable[[type[Contract]], list[Any]]
) -> None:
    ready = next(one for one in published(contracts.NotificationReady) if one.data.template_code == "welcome")
    with service.units.read() as uow:
        bodies = [message.body for _, message in outbox.pending(uow.session, 1000)]

    assert Seal("demo-notification-secret", "notifications").open(ready.data.sealed_variables) == {
        "token": "Anna's secret"
    }
    assert not [body for body in bodies if b"Anna's secret" in body]


@pytest.mark.usefixtures("everything_happened", "imported")
def test_addresses_and_names_travel_only_where_that_is_agreed(service: Service) -> None:
    with service.units.read() as uow:
        messages = [message for _, message in outbox.pending(uow.session, 1000)]

    telling = {
        message.routing_key for message in messages if b"@example.com" in message.body or b"Anna" in message.body
    }

    assert telling == {
        contracts.UserRegistered.type,
        contracts.UserUpdated.type,
        contracts.NotificationReady.type,
    }


def test_versions_rise_by_one_with_every_change_of_state(
    service: Service,
    admin: FlaskClient,
    new_user: Callable[..., User],
    published: Callable[[type[Contract]], list[Any]],
) -> None:
    anna = new_user("anna")
    for action in ("deactivate", "reactivate", "deactivate"):
        admin.post(f"/api/v1/users/{anna.id}/{action}", json={})

    told = [
        event
        for contract in (contracts.UserRegistered, contracts.UserDeactivated, contracts.UserReactivated)
        for event in published(contract)
        if event.data.user_id == anna.id
    ]

    assert sorted(event.version for event in told) == [1, 2, 3, 4]
