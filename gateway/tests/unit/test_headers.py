import pytest
from multidict import CIMultiDict

from gateway.headers import passed_in, passed_out


@pytest.mark.parametrize(
    "name",
    [
        "X-User-Id",
        "x-user-id",
        "X_User_Id",
        "X.User.Id",
        "x_user-ID",
        "X-User-Role",
        "X-Account-Id",
        "X-Forwarded-User",
        "X-Forwarded-For",
        "X_Forwarded_For",
        "X-Auth-Request-Email",
        "X-Authenticated-User",
        "Remote-User",
        "Remote_User",
        "Forwarded",
        "X-Real-IP",
        "X-Original-URL",
        "X-HTTP-Method-Override",
        "X-Service-Name",
        "Authorization_",
        "Idempotency_Key",
        "X-Correlation-ID",
        "X-Request-Deadline-Ms",
        "Connection",
        "Keep-Alive",
        "Transfer-Encoding",
        "TE",
        "Trailer",
        "Upgrade",
        "Proxy-Authorization",
        "Proxy-Connection",
        "Host",
        "Expect",
    ],
)
def test_a_header_that_is_ours_to_say_does_not_pass(name: str) -> None:
    assert name not in passed_in(CIMultiDict([(name, "1"), (name.upper(), "2")]))


@pytest.mark.parametrize(
    "name", ["Authorization", "Idempotency-Key", "X-Request-ID", "CL-X-TOKEN", "Accept", "Cookie", "tracestate"]
)
def test_other_headers_pass_as_they_are(name: str) -> None:
    passed = passed_in(CIMultiDict([(name, "one"), (name, "two")]))

    assert passed.getall(name) == ["one", "two"]


def test_what_the_connection_header_names_ends_here() -> None:
    given = CIMultiDict(
        [("Connection", "close, X-Trace"), ("connection", "Cookie"), ("X-Trace", "1"), ("Cookie", "a=b")]
    )

    assert not passed_in(given)
    assert not passed_out(given)


def test_of_an_answer_the_transport_and_the_words_of_the_server_stay_behind() -> None:
    answer = CIMultiDict(
        {
            "Server": "gunicorn",
            "Transfer-Encoding": "chunked",
            "Access-Control-Allow-Origin": "*",
            "X-Correlation-ID": "theirs",
            "ETag": '"1"',
            "Content-Encoding": "gzip",
        }
    )

    assert set(passed_out(answer)) == {"ETag", "Content-Encoding"}
