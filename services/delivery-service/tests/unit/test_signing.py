"""Standard Webhooks: the official vector, rotation, tampering, and what a receiver's library says to each request."""

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from delivery_service.model.signing import Secrets, new_secret, signed
from delivery_service.model.target import Message, Target

NOW = datetime.now(UTC)
OFFICIAL_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MESSAGE = Message("evt-1", b'{"b": 1.0, "a": "\\u00e4\xc3\xa4", "a": null}', 3)


def target(**changes: object) -> Target:
    made = Target(UUID(int=1), "https://example.com/hook", "POST", Secrets(new_secret()), 15.0)
    return replace(made, **changes)  # type: ignore[arg-type]


def test_the_official_vector_is_reproduced() -> None:
    headers = signed(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        '{"test": 2432232314}',
        [OFFICIAL_SECRET],
        at=datetime.fromtimestamp(1614265330, UTC),
    )

    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_a_secret_is_the_prefix_and_32_random_bytes() -> None:
    secret = new_secret()

    assert len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) == 32
    assert secret.startswith("whsec_")
    assert secret != new_secret()


def test_a_receiver_accepts_the_bytes_as_they_came() -> None:
    sent_to = target()
    request = sent_to.request(MESSAGE, at=NOW)

    assert request.body == MESSAGE.payload
    Webhook(sent_to.secrets.current).verify(request.body, dict(request.headers))


@pytest.mark.parametrize("part", ["body", "id", "timestamp", "signature"])
def test_a_receiver_rejects_what_was_tampered_with(part: str) -> None:
    sent_to = target()
    request = sent_to.request(MESSAGE, at=NOW)
    headers, body = dict(request.headers), request.body or b""
    if part == "body":
        body = body.replace(b"1.0", b"1.1")
    elif part == "id":
        headers["webhook-id"] = "evt-2"
    elif part == "timestamp":
        headers["webhook-timestamp"] = str(int(NOW.timestamp()) + 1)
    else:
        headers["webhook-signature"] = signed("evt-1", body.decode(), [new_secret()], at=NOW)["webhook-signature"]

    with pytest.raises(WebhookVerificationError):
        Webhook(sent_to.secrets.current).verify(body, headers)


def test_each_attempt_is_signed_anew() -> None:
    sent_to = target()
    first, second = (sent_to.request(MESSAGE, at=at) for at in (NOW, NOW + timedelta(seconds=5)))

    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.headers["webhook-timestamp"] != second.headers["webhook-timestamp"]
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]


def test_for_a_day_after_a_rotation_both_secrets_sign() -> None:
    old = Secrets(new_secret())
    new = old.rotated(NOW)

    request = target(secrets=new).request(MESSAGE, at=NOW + timedelta(hours=23, minutes=59))

    assert len(request.headers["webhook-signature"].split(" ")) == 2
    rotated_now = target(secrets=old.rotated(NOW - timedelta(hours=23)))
    request = rotated_now.request(MESSAGE, at=NOW)
    for secret in (old.current, rotated_now.secrets.current):
        Webhook(secret).verify(request.body or b"", dict(request.headers))


def test_after_a_day_only_the_new_secret_signs() -> None:
    old = Secrets(new_secret())
    new = old.rotated(NOW - timedelta(hours=24))
    request = target(secrets=new).request(MESSAGE, at=NOW)

    Webhook(new.current).verify(request.body or b"", dict(request.headers))
    with pytest.raises(WebhookVerificationError):
        Webhook(old.current).verify(request.body or b"", dict(request.headers))


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_without_a_body_the_payload_is_the_query_and_the_query_is_signed(method: str) -> None:
    """C-19: destinations by GET get the data as query parameters."""
    sent_to = target(method=method, url="https://example.com/hook?key=a%20b")
    payload = b'{"name": "\\u00c4 & B", "count": 1.0, "on": true, "none": null, "deep": {"z": [1, 2.50]}, "": "x"}'
    request = sent_to.request(Message("evt-1", payload, 1), at=NOW)

    assert request.body is None
    query = urlsplit(request.url).query
    assert parse_qsl(query, keep_blank_values=True) == [
        ("key", "a b"),
        ("name", "\u00c4 & B"),
        ("count", "1.0"),
        ("on", "true"),
        ("none", ""),
        ("deep", '{"z": [1, 2.50]}'),
        ("", "x"),
    ]
    assert "content-type" not in request.headers
    Webhook(sent_to.secrets.current).verify(query, dict(request.headers), json_parse=False)


def test_an_empty_payload_adds_no_query() -> None:
    request = target(method="GET").request(Message("evt-1", b"{}", 1), at=NOW)

    assert request.url == "https://example.com/hook"


def test_own_headers_stand_beside_ours() -> None:
    request = target(headers={"X-Key": "k", "Content-Type": "text/x-json"}).request(MESSAGE, at=NOW)

    assert {name: request.headers[name] for name in ("x-key", "content-type", "user-agent", "webhook-attempt")} == {
        "x-key": "k",
        "content-type": "text/x-json",
        "user-agent": "Steward/1.0",
        "webhook-attempt": "3",
    }


def test_secrets_and_headers_do_not_show_in_logs() -> None:
    shown = repr(target(headers={"authorization": "Bearer abc"}))

    assert "whsec_" not in shown
    assert "abc" not in shown
