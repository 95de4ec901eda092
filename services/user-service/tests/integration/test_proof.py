"""Who registers with somebody else's address leaves nothing behind for when its owner comes. S 7."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from event_contracts import AccountUpdated, Contract, MembershipRevoked
from service_chassis.messaging.envelope import Event
from user_service.model.throttle import ACCOUNT
from user_service.model.user import User

AUTH, USERS, ACCOUNTS = "/api/v1/auth", "/api/v1/users", "/api/v1/accounts"
OWNER = "owner@example.com"
PASSWORD, NEW = "correct horse", "battery staple"
ADMIN, NORMAL = 1, 2
Mail = dict[str, Any]
Mails = Callable[[], list[Mail]]


def data(response: TestResponse) -> Any:
    assert response.status_code < 300, response.text
    return response.get_json()["data"]


def code(response: TestResponse) -> tuple[int, str]:
    return response.status_code, response.get_json()["error"]


def login(web: FlaskClient, email: str = OWNER, password: str = PASSWORD, **more: Any) -> TestResponse:
    return web.post(f"{AUTH}/login", json={"email": email, "password": password, **more})


def last(mails: Mails, template: str) -> Mail:
    return [mail for mail in mails() if mail["template"] == template][-1]


class Claimed:
    """An address that somebody registered who is not its owner, with all that can be left under it."""

    def __init__(self, web: FlaskClient, mails: Mails, other: User) -> None:
        body = {"email": OWNER, "password": PASSWORD, "name": "Not the owner", "push_token": "another's phone"}
        self.user = data(web.post(USERS, json=body))["user"]
        self.web, self.mails, self.other = web, mails, other
        self.verification = last(mails, "verify_email")["token"]
        self.tokens = data(login(web))
        opaque = web.post(f"{AUTH}/opaque-token", json={"email": OWNER, "password": PASSWORD})
        self.opaque = data(opaque)["token"]
        self.client = web.application.test_client()
        self.client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {self.tokens['access_token']}"
        (account,) = data(self.client.get(ACCOUNTS))
        self.account = account["id"]
        self.account_token = self.token_of_account(self.client)

    def token_of_account(self, client: FlaskClient) -> str:
        token: str = data(client.get(f"{ACCOUNTS}/{self.account}"))["app_secret_token"]
        return token

    def let_in(self, account: int | None = None, role: int = ADMIN) -> None:
        path = f"{ACCOUNTS}/{account or self.account}/members"
        data(self.client.post(path, json={"user_id": str(self.other.id), "role": role}))

    def invite(self) -> None:
        invitation = {"email": self.other.email, "role": ADMIN}
        data(self.client.post(f"{ACCOUNTS}/{self.account}/invitations", json=invitation))

    def invitation(self) -> str:
        token: str = last(self.mails, "account_invitation")["token"]
        return token

    def members(self, client: FlaskClient, account: int | None = None) -> dict[str, int]:
        listed = data(client.get(f"{ACCOUNTS}/{account or self.account}/members"))
        return {member["user_id"]: member["role"] for member in listed}

    def reset(self) -> FlaskClient:
        """The owner gets in by mail, and is signed in."""
        self.web.post(f"{AUTH}/password-reset", json={"email": OWNER})
        token = last(self.mails, "password_reset")["token"]
        data(self.web.post(f"{AUTH}/password-reset/confirm", json={"token": token, "password": NEW}))
        return self.as_owner(NEW)

    def verify(self) -> FlaskClient:
        data(self.web.post(f"{AUTH}/verify-email", json={"token": self.verification}))
        return self.as_owner(PASSWORD)

    def as_owner(self, password: str) -> FlaskClient:
        owner = self.web.application.test_client()
        token = data(login(self.web, password=password))["access_token"]
        owner.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
        return owner


@pytest.fixture
def claimed(web: FlaskClient, mails: Mails, bert: User) -> Claimed:
    return Claimed(web, mails, bert)


@pytest.fixture(params=["reset", "verify"])
def proven(request: pytest.FixtureRequest, claimed: Claimed) -> Callable[[], FlaskClient]:
    """Lets the owner prove the address one way or the other, and returns a client signed in as the user."""
    return {"reset": claimed.reset, "verify": claimed.verify}[request.param]


def test_proof_of_an_address_ends_the_sessions_from_before(
    web: FlaskClient, claimed: Claimed, proven: Callable[[], FlaskClient]
) -> None:
    proven()

    refused = web.post(f"{AUTH}/refresh", json={"refresh_token": claimed.tokens["refresh_token"]})
    assert code(refused) == (401, "invalid_refresh_token")
    assert web.post("/internal/tokens/exchange", json={"token": claimed.opaque}).status_code == 401


def test_proof_of_an_address_ends_the_devices_from_before(
    web: FlaskClient, claimed: Claimed, proven: Callable[[], FlaskClient]
) -> None:
    proven()

    for _ in range(ACCOUNT.free):
        login(web, password="wrong")
    assert login(web, device_token=claimed.tokens["device_token"]).status_code == 429


def test_proof_of_an_address_ends_the_push_token_from_before(
    claimed: Claimed, proven: Callable[[], FlaskClient]
) -> None:
    assert data(claimed.client.get(f"{USERS}/profile"))["push_token"] == "another's phone"

    owner = proven()

    assert data(owner.get(f"{USERS}/profile"))["push_token"] is None


def test_proof_of_an_address_ends_memberships_granted_before(
    claimed: Claimed,
    proven: Callable[[], FlaskClient],
    as_bert: FlaskClient,
    published: Callable[[type[Contract]], list[Event]],
) -> None:
    claimed.let_in()

    owner = proven()

    assert claimed.members(owner) == {claimed.user["id"]: ADMIN}
    assert as_bert.get(f"{ACCOUNTS}/{claimed.account}").status_code == 404
    revoked = [(event.data.account_id, event.data.user_id) for event in published(MembershipRevoked)]
    assert revoked == [(claimed.account, claimed.other.id)]


def test_who_accepted_an_invitation_before_the_proof_is_out_even_after_demoting_the_user(
    claimed: Claimed, as_bert: FlaskClient, proven: Callable[[], FlaskClient]
) -> None:
    claimed.invite()
    data(as_bert.post(f"{ACCOUNTS}/invitations/accept", json={"token": claimed.invitation()}))
    path = f"{ACCOUNTS}/{claimed.account}/members/{claimed.user['id']}"
    data(as_bert.patch(path, json={"role": NORMAL}))

    owner = proven()

    assert claimed.members(owner) == {claimed.user["id"]: ADMIN}


def test_proof_of_an_address_ends_memberships_granted_in_the_accounts_of_others(
    claimed: Claimed,
    proven: Callable[[], FlaskClient],
    as_anna: FlaskClient,
    account: int,
    new_user: Callable[..., User],
) -> None:
    carl = str(new_user("carl").id)
    for user_id in (claimed.user["id"], carl):
        data(as_anna.post(f"{ACCOUNTS}/{account}/members", json={"user_id": user_id, "role": ADMIN}))
    claimed.let_in(account)

    proven()

    left = claimed.members(as_anna, account)
    assert str(claimed.other.id) not in left
    assert {carl, claimed.user["id"]} < set(left)


def test_proof_of_an_address_replaces_the_account_token_from_before(
    claimed: Claimed, proven: Callable[[], FlaskClient], published: Callable[[type[Contract]], list[Event]]
) -> None:
    owner = proven()

    assert claimed.token_of_account(owner) != claimed.account_token
    (renewed,) = published(AccountUpdated)
    assert (renewed.data.account_id, renewed.data.previous_token_hash) == (claimed.account, None)


def test_proof_of_an_address_ends_pending_changes_and_invitations(
    web: FlaskClient, claimed: Claimed, proven: Callable[[], FlaskClient], mails: Mails, as_bert: FlaskClient
) -> None:
    change = {"email": "another@example.com", "password": PASSWORD}
    assert claimed.client.post(f"{AUTH}/email-change", json=change).status_code == 202
    claimed.invite()
    to_another, to_owner = last(mails, "email_change"), last(mails, "email_change_notice")
    invited = claimed.invitation()

    proven()

    for path, mail in (("confirm", to_another), ("undo", to_owner)):
        assert code(web.post(f"{AUTH}/email-change/{path}", json={"token": mail["token"]})) == (400, "invalid_token")
    accepted = as_bert.post(f"{ACCOUNTS}/invitations/accept", json={"token": invited})
    assert code(accepted) == (404, "invitation_not_found")


def test_who_proves_the_address_in_a_session_of_the_user_keeps_everything(web: FlaskClient, claimed: Claimed) -> None:
    claimed.let_in()

    data(claimed.client.post(f"{AUTH}/verify-email", json={"token": claimed.verification}))

    assert data(web.post(f"{AUTH}/refresh", json={"refresh_token": claimed.tokens["refresh_token"]}))
    assert data(claimed.client.get(f"{USERS}/profile"))["push_token"] == "another's phone"
    assert len(claimed.members(claimed.client)) == 2
    assert claimed.token_of_account(claimed.client) == claimed.account_token


def test_the_session_of_somebody_else_proves_nothing_for_the_user(
    claimed: Claimed, as_bert: FlaskClient, web: FlaskClient
) -> None:
    data(as_bert.post(f"{AUTH}/verify-email", json={"token": claimed.verification}))

    refused = web.post(f"{AUTH}/refresh", json={"refresh_token": claimed.tokens["refresh_token"]})
    assert code(refused) == (401, "invalid_refresh_token")


def test_a_later_reset_leaves_what_came_after_the_proof(claimed: Claimed) -> None:
    claimed.verify()
    claimed.client = claimed.as_owner(PASSWORD)
    data(claimed.client.patch(f"{USERS}/profile", json={"push_token": "own phone"}))
    claimed.let_in()

    owner = claimed.reset()

    assert data(owner.get(f"{USERS}/profile"))["push_token"] == "own phone"
    assert len(claimed.members(owner)) == 2


def test_whom_an_admin_gave_another_address_loses_nothing_by_confirming_it(
    web: FlaskClient, claimed: Claimed, admin: FlaskClient, mails: Mails
) -> None:
    claimed.verify()
    claimed.client = claimed.as_owner(PASSWORD)
    claimed.let_in()
    data(admin.patch(f"{USERS}/{claimed.user['id']}", json={"email": "new@example.com"}))

    data(web.post(f"{AUTH}/verify-email", json={"token": last(mails, "verify_email")["token"]}))

    assert len(claimed.members(claimed.client)) == 2


def test_an_address_nobody_has_proven_cannot_take_a_change_back_that_its_user_confirmed(
    web: FlaskClient, claimed: Claimed, mails: Mails
) -> None:
    change = {"email": "right@example.com", "password": PASSWORD}
    claimed.client.post(f"{AUTH}/email-change", json=change)
    to_new, to_old = last(mails, "email_change"), last(mails, "email_change_notice")
    data(claimed.client.post(f"{AUTH}/email-change/confirm", json={"token": to_new["token"]}))

    undone = web.post(f"{AUTH}/email-change/undo", json={"token": to_old["token"]})

    assert code(undone) == (400, "invalid_token")
    assert data(claimed.client.get(f"{USERS}/profile"))["push_token"] == "another's phone"


def test_who_takes_a_change_back_at_an_unproven_address_ends_what_was_left(
    web: FlaskClient, claimed: Claimed, mails: Mails
) -> None:
    change = {"email": "another@example.com", "password": PASSWORD}
    claimed.client.post(f"{AUTH}/email-change", json=change)
    claimed.let_in()

    data(web.post(f"{AUTH}/email-change/undo", json={"token": last(mails, "email_change_notice")["token"]}))

    assert claimed.members(claimed.as_owner(PASSWORD)) == {claimed.user["id"]: ADMIN}
