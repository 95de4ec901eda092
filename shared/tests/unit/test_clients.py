import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from service_chassis import correlation
from service_chassis.breaker import Breaker, BreakerOpen, BreakerRules, State
from service_chassis.clients import (
    Answer,
    ConnectionLost,
    Data,
    Request,
    ServiceClient,
    UpstreamRefused,
    UpstreamUnavailable,
)
from service_chassis.correlation import Correlation

NAMED = b'{"success":true,"data":{"name":"Anna","age":7}}'


class User(msgspec.Struct):
    name: str


class Upstream:
    """Answers each request with the next of what it was given, and the last one from then on."""

    def __init__(self, *answers: Answer | Exception) -> None:
        self._answers = list(answers)
        self.requests: list[Request] = []

    def __call__(self, request: Request) -> Answer:
        self.requests.append(request)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def refusal(status: int, code: str = "not_found") -> Answer:
    return Answer(status, json.dumps({"success": False, "error": code}).encode())


def a_client(upstream: Upstream, **settings: Any) -> ServiceClient:
    return ServiceClient("http://users:8000/", breaker=Breaker("user-service"), transport=upstream, **settings)


def get(client: ServiceClient) -> Data[User]:
    return client.get("/users/1", Data[User])


def post(client: ServiceClient) -> Data[User]:
    return client.post("/users", {"name": "Anna"}, Data[User])


def test_an_answer_is_read_as_what_the_caller_expects() -> None:
    upstream = Upstream(Answer(200, NAMED))

    user = a_client(upstream).get("/users", Data[User], {"email": "a&b@example.org"}).data

    assert user == User("Anna")
    assert [(request.method, request.url, request.body) for request in upstream.requests] == [
        ("GET", "http://users:8000/users?email=a%26b%40example.org", None)
    ]


def ask(client: ServiceClient) -> Data[User]:
    return client.ask("/users/lookup", {"name": "Anna"}, Data[User])


def test_a_body_is_posted_as_json() -> None:
    upstream = Upstream(Answer(201, NAMED))

    post(a_client(upstream))

    assert upstream.requests[0].body == b'{"name":"Anna"}'
    assert upstream.requests[0].headers["Content-Type"] == "application/json"


def test_the_ids_of_the_work_in_hand_and_the_token_go_along() -> None:
    upstream = Upstream(Answer(200, NAMED))
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    with correlation.correlated(Correlation("order-7", traceparent=trace)):
        get(a_client(upstream, token=lambda: "the-token"))

    assert upstream.requests[0].headers == {
        "Accept": "application/json",
        "Authorization": "Bearer the-token",
        "X-Correlation-ID": "order-7",
        "traceparent": trace,
    }


def test_outside_any_work_no_ids_are_made_up() -> None:
    upstream = Upstream(Answer(200, NAMED))

    get(a_client(upstream))

    assert upstream.requests[0].headers == {"Accept": "application/json"}


@pytest.mark.parametrize("read", [get, ask])
def test_a_read_is_repeated_once_when_the_connection_is_lost(read: Callable[[ServiceClient], Data[User]]) -> None:
    upstream = Upstream(ConnectionLost(), Answer(200, NAMED))

    assert read(a_client(upstream)).data == User("Anna")

    first, second = upstream.requests
    assert first.deadline == second.deadline


@pytest.mark.parametrize(("call", "requests"), [(get, 2), (ask, 2), (post, 1)])
def test_a_connection_lost_for_good_means_unavailable(
    call: Callable[[ServiceClient], Data[User]], requests: int
) -> None:
    upstream = Upstream(ConnectionLost())

    with pytest.raises(UpstreamUnavailable, match="user-service does not answer") as failure:
        call(a_client(upstream))

    assert (failure.value.status, failure.value.code) == (503, "upstream_unavailable")
    assert len(upstream.requests) == requests


def test_a_server_error_is_not_repeated() -> None:
    upstream = Upstream(Answer(500, b"oops"))

    with pytest.raises(UpstreamUnavailable, match="answered 500"):
        get(a_client(upstream))

    assert len(upstream.requests) == 1


@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 409, 422, 429])
def test_a_refusal_keeps_status_and_code(status: int) -> None:
    client = a_client(Upstream(refusal(status, "some_code")))

    with pytest.raises(UpstreamRefused) as refused:
        get(client)

    assert (refused.value.upstream_status, refused.value.upstream_code) == (status, "some_code")
    assert (refused.value.status, refused.value.code) == (502, "upstream_refused")


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"error": 7}', b""])
def test_a_refusal_need_not_be_ours(body: bytes) -> None:
    with pytest.raises(UpstreamRefused) as refused:
        get(a_client(Upstream(Answer(400, body))))

    assert refused.value.upstream_code is None


@pytest.mark.parametrize("body", [b"<html>", b"{}", b'{"data":{"name":7}}', b""])
def test_an_answer_that_cannot_be_read_means_unavailable(body: bytes) -> None:
    with pytest.raises(UpstreamUnavailable, match="cannot be read"):
        get(a_client(Upstream(Answer(200, body))))


def test_after_five_failures_the_other_service_is_left_alone() -> None:
    upstream = Upstream(UpstreamUnavailable())
    client = a_client(upstream)
    for _ in range(5):
        with pytest.raises(UpstreamUnavailable):
            post(client)

    with pytest.raises(BreakerOpen, match="user-service"):
        post(client)

    assert len(upstream.requests) == 5


def test_refusals_never_open_the_breaker() -> None:
    breaker = Breaker("user-service")
    client = ServiceClient("http://users", breaker=breaker, transport=Upstream(refusal(403)))

    for _ in range(30):
        with pytest.raises(UpstreamRefused):
            get(client)

    assert breaker.state is State.CLOSED


def test_a_token_fetched_through_the_same_breaker_does_not_use_up_its_probe() -> None:
    upstream = Upstream(UpstreamUnavailable(), Answer(200, NAMED))
    breaker = Breaker("user-service", BreakerRules(failures=1, open_for=timedelta(0)))
    tokens = ServiceClient("http://users", breaker=breaker, transport=upstream)
    client = ServiceClient(
        "http://users", breaker=breaker, transport=upstream, token=lambda: get(tokens).data.name
    )  # fmt: skip
    with pytest.raises(UpstreamUnavailable):
        get(tokens)
    assert breaker.state is State.HALF_OPEN

    get(client)

    assert upstream.requests[-1].headers["Authorization"] == "Bearer Anna"
