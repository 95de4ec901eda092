from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from user_service.model.email import EMAIL_LIMIT, normalised_email
from user_service.model.errors import AlreadyActive, AlreadyDeactivated, InvalidEmail
from user_service.model.user import Reason, Role, Status, User, is_line

NOON = datetime(2030, 1, 15, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)
instants = st.timedeltas(timedelta(days=-999), timedelta(days=999)).map(lambda distance: NOON + distance)


def anna() -> User:
    return User.register("anna@example.com", "Anna", Role.USER, None, at=NOON)


def test_a_registered_user_is_active_and_was_seen_at_the_registration() -> None:
    user = User.register(" Anna@Example.COM ", " Anna ", Role.MANAGER, "a hash", at=NOON)

    assert (user.email, user.name, user.role) == ("anna@example.com", "Anna", Role.MANAGER)
    assert user.is_active
    assert (user.registered_at, user.last_activity_at, user.last_login_at) == (NOON, NOON, None)
    assert user.version == 1


@given(st.emails(), st.sampled_from(["", " ", "\t", "\n"]))
def test_every_spelling_of_an_address_is_one_address(email: str, padding: str) -> None:
    assume(len(email) <= EMAIL_LIMIT)

    spellings = {email, email.lower(), email.upper(), email.swapcase(), padding + email + padding}
    try:
        kept = {normalised_email(spelling) for spelling in spellings}
    except InvalidEmail:
        assume(False)

    assert len(kept) == 1


@pytest.mark.parametrize(
    "address",
    [
        "an\u200bna@example.com",
        "\u202eanna@example.com",
        "anna@exam\u00adple.com",
        "\uff41nna@example.com",
        "anna@example\uff0ecom",
        "anna@example\uff61com",
        "anna@example\u3002com",
    ],
    ids=["zero width", "direction", "soft hyphen", "fullwidth", "fullwidth dot", "halfwidth dot", "ideographic dot"],
)
def test_an_address_that_looks_like_somebody_elses_is_none(address: str) -> None:
    with pytest.raises(InvalidEmail):
        normalised_email(address)


def test_one_mailbox_is_one_address_however_its_domain_is_written() -> None:
    assert (
        normalised_email("anna@xn--mnchen-3ya.de") == normalised_email("Anna@M\u00dcNCHEN.de") == "anna@m\u00fcnchen.de"
    )


@pytest.mark.parametrize(
    "address",
    [f"{'a' * 65}@example.com", ".a@example.com", "a.@example.com", "a..b@example.com", "a@[127.0.0.1]", "a@b"],
    ids=["65 characters", "dot first", "dot last", "two dots", "number", "bare host"],
)
def test_what_no_mailbox_is_called_is_no_address(address: str) -> None:
    with pytest.raises(InvalidEmail):
        normalised_email(address)


def test_composed_and_decomposed_letters_are_one_address() -> None:
    assert normalised_email("jose\u0301@example.com") == normalised_email("jos\u00e9@example.com")


@pytest.mark.parametrize("unseen", ["\n", "\x1b", "\x7f", "\x85", "\u2028", "\u202e", "\u2066"], ids=ascii)
def test_a_name_with_control_characters_is_no_line(unseen: str) -> None:
    assert not is_line(f"An{unseen}na")


@pytest.mark.parametrize("name", ["Anna-Lena O'Neil", "\u0645\u0631\u06cc\u0645", "\U0001f469\u200d\U0001f52c"])
def test_the_names_of_all_languages_are_lines(name: str) -> None:
    assert is_line(name)


@given(st.text(max_size=20) | st.tuples(st.text(max_size=8), st.text(max_size=8)).map("@".join))
def test_whatever_passes_as_an_address_can_be_kept_and_looked_up(text: str) -> None:
    try:
        address = normalised_email(text)
    except InvalidEmail:
        return

    assert normalised_email(address) == address
    assert address.count("@") == 1
    assert not any(character.isspace() or ord(character) < 32 for character in address)


@pytest.mark.parametrize(
    "email",
    [
        "",
        "anna",
        "@",
        "anna@",
        "@example.com",
        "anna@bert@example.com",
        "an na@example.com",
        "anna@example..com",
        "anna@.com",
        "anna@example.com.",
        "Anna <anna@example.com>",
        "anna@example.com,bert@example.com",
        "an\x00na@example.com",
        "anna@exam\x7fple.com",
        f"{'a' * EMAIL_LIMIT}@example.com",
    ],
)
def test_what_is_no_address_is_refused(email: str) -> None:
    with pytest.raises(InvalidEmail):
        User.register(email, "Anna", Role.USER, None, at=NOON)


def test_a_deactivated_user_keeps_everything_but_the_status() -> None:
    user = anna()

    user.deactivate(Reason.INACTIVITY, at=LATER)

    assert (user.status, user.is_active) == (Status.DEACTIVATED, False)
    assert (user.deactivated_at, user.deactivation_reason) == (LATER, Reason.INACTIVITY)
    assert user.last_activity_at == NOON
    assert user.version == 2


def test_nobody_is_deactivated_twice() -> None:
    user = anna()
    user.deactivate(Reason.INACTIVITY, at=LATER)

    with pytest.raises(AlreadyDeactivated):
        user.deactivate(Reason.ADMIN, at=LATER + timedelta(hours=1))

    assert (user.deactivated_at, user.deactivation_reason, user.version) == (LATER, Reason.INACTIVITY, 2)


def test_reactivation_counts_as_activity_and_leaves_no_trace_of_the_deactivation() -> None:
    user = anna()
    user.deactivate(Reason.INACTIVITY, at=NOON)

    user.reactivate(at=LATER)

    assert user.is_active
    assert (user.reactivated_at, user.last_activity_at) == (LATER, LATER)
    assert (user.deactivated_at, user.deactivation_reason, user.deactivated_by_run) == (None, None, None)
    assert user.version == 3


def test_who_is_active_cannot_be_reactivated() -> None:
    user = anna()

    with pytest.raises(AlreadyActive):
        user.reactivate(at=LATER)

    assert (user.reactivated_at, user.last_activity_at, user.version) == (None, NOON, 1)


@given(st.lists(instants))
def test_activity_never_moves_back(instants: list[datetime]) -> None:
    user = anna()

    for instant in instants:
        user.is_seen(at=instant)

    assert user.last_activity_at == max([NOON, *instants])


def test_a_sign_in_is_noted_as_such_and_as_activity() -> None:
    user = anna()

    user.signs_in(at=LATER)

    assert (user.last_login_at, user.last_activity_at) == (LATER, LATER)
