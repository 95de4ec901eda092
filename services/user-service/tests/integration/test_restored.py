"""A restored user-service is believed: what it says is newer than anything it said before."""

from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import select

from event_contracts import AccountCreated, MembershipGranted, UserDeactivated
from service_chassis.clock import ManualClock
from service_chassis.messaging import outbox
from service_chassis.messaging.envelope import Event, decoded, received
from service_chassis.messaging.versions import split
from service_chassis.service import Service
from user_service.model.user import User
from user_service.usecases import lifecycle, restoring


def told(service: Service, contract: type) -> Event:
    """Return the last event of a type in the outbox."""
    with service.units.read() as uow:
        messages = [message for _, message in outbox.pending(uow.session, 1_000)]
    chosen = [message for message in messages if message.routing_key == contract.type]
    return received(decoded(chosen[-1].content_type, chosen[-1].body)[-1], contract)


def versions(service: Service) -> list[int]:
    with service.units.read() as uow:
        return list(uow.session.scalars(select(User.version).order_by(User.number)))


def test_all_versions_are_above_those_of_the_epoch_before_and_count_on(service: Service, anna: User) -> None:
    before = versions(service)
    with service.units.write() as uow:
        epoch = restoring.begin_epoch(uow)

    assert min(versions(service)) > max(before)
    assert [split(version) for version in versions(service)] == [(epoch, version) for version in before]


def test_an_event_says_epoch_and_version_beside_each_other(service: Service, anna: User) -> None:
    with service.units.write() as uow:
        epoch = restoring.begin_epoch(uow)
    with service.units.write() as uow:
        lifecycle.deactivate(uow, anna.id, "", by=anna.id, tokens_live=timedelta(hours=1))

    event = told(service, UserDeactivated)
    assert event.version is not None
    assert split(event.version) == (epoch, anna.version + 1)


def test_what_comes_into_being_under_an_id_that_was_given_before_is_newer_than_that(
    service: Service, new_user: Callable[..., User]
) -> None:
    with service.units.write() as uow:
        epoch = restoring.begin_epoch(uow)

    new_user("carl")

    for contract in (AccountCreated, MembershipGranted):
        assert split(told(service, contract).version or 0) == (epoch, 1)


def test_each_epoch_is_later_than_the_one_before_even_if_that_was_forgotten(
    service: Service, clock: ManualClock
) -> None:
    class Undone(Exception):
        pass

    forgotten = 0
    try:
        with service.units.write() as uow:
            forgotten = restoring.begin_epoch(uow)
            raise Undone
    except Undone:
        clock.advance(timedelta(seconds=1))

    with service.units.write() as uow:
        first = restoring.begin_epoch(uow)
    with service.units.write() as uow:
        second = restoring.begin_epoch(uow)

    assert forgotten < first < second
