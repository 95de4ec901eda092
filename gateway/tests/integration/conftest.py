from collections.abc import Callable, Iterator

import pytest

from gateway.testing import Issuer, LoopThread, RunningGateway, SigningKey, StubService, UserService
from service_chassis.testing.waiting import wait_until


@pytest.fixture(scope="session")
def signing_keys() -> tuple[SigningKey, SigningKey]:
    return SigningKey("key-1"), SigningKey("key-2")


@pytest.fixture
def loop() -> Iterator[LoopThread]:
    with LoopThread() as loop:
        yield loop


@pytest.fixture
def issuer(signing_keys: tuple[SigningKey, SigningKey]) -> Issuer:
    return Issuer(signing_keys[0])


@pytest.fixture
def users(loop: LoopThread, issuer: Issuer) -> Iterator[UserService]:
    service = UserService(loop, issuer)
    yield service
    service.stop()


@pytest.fixture
def cleanup(loop: LoopThread) -> Iterator[StubService]:
    service = StubService(loop)
    yield service
    service.stop()


Start = Callable[..., RunningGateway]


@pytest.fixture
def start(loop: LoopThread, users: UserService, cleanup: StubService) -> Iterator[Start]:
    """Starts a gateway with some settings, by default waiting until it is ready."""
    running: list[RunningGateway] = []

    def start(*, ready: bool = True, **env: str) -> RunningGateway:
        services = {"USER_SERVICE_URL": users.url, "CLEANUP_SERVICE_URL": cleanup.url, "LOG_LEVEL": "ERROR"}
        running.append(RunningGateway(loop, services | env))
        if ready:
            wait_until(lambda: running[-1].ready)
        return running[-1]

    yield start
    for gateway in running:
        gateway.close()


@pytest.fixture
def gateway(start: Start) -> RunningGateway:
    return start()


@pytest.fixture
def token(issuer: Issuer) -> str:
    """The token of a user who is signed in."""
    return issuer.token()
