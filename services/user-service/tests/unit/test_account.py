from datetime import UTC, datetime, timedelta

import pytest

from service_chassis.sealing import Seal
from user_service.model.account import Account, hash_of

NOW = datetime(2030, 1, 15, 12, tzinfo=UTC)
SEAL = Seal("a secret of this installation", "account-tokens")


@pytest.fixture
def account() -> Account:
    return Account.create("Ours", None, SEAL, version=1, at=NOW)


def test_every_account_has_a_token_of_its_own(account: Account) -> None:
    token = account.token(SEAL)

    assert token != Account.create("Theirs", None, SEAL, version=1, at=NOW).token(SEAL)
    assert account.token_hash == hash_of(token)
    assert str(token) not in account.sealed_token


def test_without_overlap_the_token_before_is_void_at_once(account: Account) -> None:
    account.rotate_token(SEAL, timedelta(0), at=NOW)

    assert (account.previous_token_hash, account.previous_token_until) == (None, None)


def test_a_deleted_account_keeps_nothing_but_its_number(account: Account) -> None:
    account.rotate_token(SEAL, timedelta(hours=1), at=NOW)
    account.delete(at=NOW)

    assert (account.name, account.website, account.sealed_token, account.token_hash) == ("", None, "", "")
    assert (account.previous_token_hash, account.previous_token_until, account.deleted_at) == (None, None, NOW)
    assert account.version == 3


def test_an_empty_website_is_none_and_a_website_not_given_stays(account: Account) -> None:
    account.change(name=None, website="https://example.com", at=NOW)
    account.change(name="Mine", website=None, at=NOW)
    assert (account.name, account.website) == ("Mine", "https://example.com")

    account.change(name=None, website="", at=NOW)

    assert account.website is None
