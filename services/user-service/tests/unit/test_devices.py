from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from service_chassis.ids import uuid7
from user_service.model.device import REMEMBERED, Devices

NOON = datetime(2030, 1, 15, 12, tzinfo=UTC)
DEVICES = Devices(b"the key of the tests")
ANNA, BERT = uuid7(), uuid7()


def test_a_device_is_recognised_as_the_same_each_time() -> None:
    token = DEVICES.issue(ANNA, at=NOON)

    seen = {DEVICES.recognise(token, ANNA, at=NOON + timedelta(days=day)) for day in (0, 1, 179)}

    assert len(seen) == 1
    assert None not in seen


def test_no_two_devices_are_the_same() -> None:
    first, second = (DEVICES.recognise(DEVICES.issue(ANNA, at=NOON), ANNA, at=NOON) for _ in range(2))

    assert first != second


def test_a_device_of_somebody_else_is_a_stranger() -> None:
    assert DEVICES.recognise(DEVICES.issue(ANNA, at=NOON), BERT, at=NOON) is None


def test_a_device_is_not_known_for_ever() -> None:
    assert DEVICES.recognise(DEVICES.issue(ANNA, at=NOON), ANNA, at=NOON + REMEMBERED) is None


def test_a_device_of_an_earlier_generation_is_a_stranger() -> None:
    token = DEVICES.issue(ANNA, at=NOON, generation=1)

    assert DEVICES.recognise(token, ANNA, at=NOON, generation=1) is not None
    assert DEVICES.recognise(token, ANNA, at=NOON, generation=2) is None


def test_another_key_recognises_nothing() -> None:
    assert Devices(b"another").recognise(DEVICES.issue(ANNA, at=NOON), ANNA, at=NOON) is None


@given(st.none() | st.text() | st.binary(max_size=80).map(lambda raw: urlsafe_b64encode(raw).decode()))
def test_garbage_is_no_device(token: str | None) -> None:
    assert DEVICES.recognise(token, ANNA, at=NOON) is None


@given(st.integers(0, 55), st.integers(1, 255))
def test_a_token_of_which_a_single_byte_was_changed_is_no_device(position: int, change: int) -> None:
    raw = bytearray(urlsafe_b64decode(DEVICES.issue(ANNA, at=NOON)))
    raw[position] ^= change

    assert DEVICES.recognise(urlsafe_b64encode(bytes(raw)).decode(), ANNA, at=NOON) is None
