import pytest
from cryptography.fernet import InvalidToken

from service_chassis.sealing import Seal

SECRET = "a secret that two services share"


def test_who_has_the_secret_reads_what_was_sealed() -> None:
    sealed = Seal(SECRET, "notifications").close({"code": "483920"})

    assert "483920" not in sealed
    assert Seal(SECRET, "notifications").open(sealed) == {"code": "483920"}


@pytest.mark.parametrize("other", [Seal("another secret", "notifications"), Seal(SECRET, "accounts")])
def test_another_secret_or_purpose_opens_nothing(other: Seal) -> None:
    with pytest.raises(InvalidToken):
        other.open(Seal(SECRET, "notifications").close("483920"))


def test_an_altered_seal_opens_nothing() -> None:
    seal = Seal(SECRET, "notifications")
    sealed = seal.close("483920")

    with pytest.raises(InvalidToken):
        seal.open(sealed[:-8] + "AAAAAAA=")
