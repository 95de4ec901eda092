import pytest

from delivery_service.model.errors import HeaderRefused
from delivery_service.model.headers import checked, masked


@pytest.mark.parametrize(
    "name",
    [
        "Host",
        "content-length",
        "Transfer-Encoding",
        "Connection",
        "Content-Encoding",
        "Upgrade",
        "TE",
        "Trailer",
        "Expect",
        "User-Agent",
        "webhook-id",
        "Webhook-Anything",
        "Proxy-Authorization",
        "X-Forwarded-For",
        "",
        "a b",
        "a:b",
        "a\r\nb",
        "\u00e4",
        "a" * 129,
    ],
)
def test_a_reserved_or_malformed_name_is_refused(name: str) -> None:
    with pytest.raises(HeaderRefused) as refusal:
        checked({name: "value"})

    assert list(refusal.value.fields["headers"]) == [name]


@pytest.mark.parametrize("value", ["a\r\nHost: b", "a\nb", "a\rb", "a\0b", "\x7f", "\u00e4", "a\tb", "a" * 4_097])
def test_a_value_that_is_not_printable_is_refused(value: str) -> None:
    with pytest.raises(HeaderRefused):
        checked({"X-Key": value})


def test_names_that_differ_only_in_case_are_refused() -> None:
    with pytest.raises(HeaderRefused):
        checked({"X-Key": "a", "x-key": "b"})


def test_there_are_only_so_many() -> None:
    checked({f"X-{number}": "" for number in range(50)})

    with pytest.raises(HeaderRefused):
        checked({f"X-{number}": "" for number in range(51)})


def test_values_are_masked_but_for_the_content_type() -> None:
    headers = checked({"Content-Type": "application/json", "Authorization": "Bearer abc"})

    assert masked(headers) == {"Content-Type": "application/json", "Authorization": "********"}
