from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_chassis.ids import uuid7
from user_service.model.errors import InvalidRefreshToken
from user_service.model.session import RefreshToken, RefreshTokens, Session

NOON = datetime(2030, 1, 15, 12, tzinfo=UTC)
DAY = timedelta(days=1)
TOKENS = RefreshTokens(b"the key of the tests" * 2)
SESSION = Session.start(uuid7(), at=NOON, lifetime=DAY)


@given(st.integers(0, 2**63))
def test_a_token_says_which_session_it_belongs_to_and_at_which_counter(counter: int) -> None:
    token = RefreshToken.parse(TOKENS.issue(SESSION, counter))

    assert (token.session_id, token.counter) == (SESSION.id, counter)
    assert TOKENS.is_genuine(token, SESSION)


def test_the_same_counter_yields_the_same_token_and_the_next_another() -> None:
    assert TOKENS.issue(SESSION, 1) == TOKENS.issue(SESSION, 1)
    assert TOKENS.issue(SESSION, 1) != TOKENS.issue(SESSION, 2)


def test_a_token_fits_its_session_only() -> None:
    other = Session.start(SESSION.user_id, at=NOON, lifetime=DAY)

    token = RefreshToken.parse(TOKENS.issue(SESSION, 0))

    assert not TOKENS.is_genuine(token, other)


def test_a_copy_of_the_database_is_not_enough_to_forge_a_token() -> None:
    forged = RefreshToken.parse(RefreshTokens(b"another key").issue(SESSION, 0))

    assert not TOKENS.is_genuine(forged, SESSION)


@given(st.integers(0, 55), st.integers(1, 255))
def test_a_token_of_which_a_single_byte_was_changed_is_not_genuine(position: int, change: int) -> None:
    genuine = RefreshToken.parse(TOKENS.issue(SESSION, 7))
    raw = bytearray(genuine.session_id.bytes + genuine.counter.to_bytes(8, "big") + genuine.mac)
    raw[position] ^= change

    token = RefreshToken.parse(urlsafe_b64encode(bytes(raw)).decode())

    assert token.session_id != SESSION.id or not TOKENS.is_genuine(token, SESSION)


@given(st.text() | st.binary(max_size=100).map(lambda raw: urlsafe_b64encode(raw).decode()))
def test_garbage_is_refused_and_nothing_worse(text: str) -> None:
    try:
        token = RefreshToken.parse(text)
    except InvalidRefreshToken:
        return

    assert not TOKENS.is_genuine(token, SESSION)


@pytest.mark.parametrize("length", [0, 1, 15, 16, 24, 55, 57])
def test_a_token_of_the_wrong_length_is_refused(length: int) -> None:
    with pytest.raises(InvalidRefreshToken):
        RefreshToken.parse(urlsafe_b64encode(bytes(length)).decode())


def test_a_session_lives_until_it_expires_or_is_ended() -> None:
    session = Session.start(uuid7(), at=NOON, lifetime=DAY)
    assert session.is_live(at=NOON)
    assert not session.is_live(at=NOON + DAY)

    session.ended_at = NOON

    assert not session.is_live(at=NOON)
