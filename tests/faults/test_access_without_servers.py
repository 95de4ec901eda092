"""Who has lost access loses it as fast while RabbitMQ and Redis are down: neither has a part in it."""

from pathlib import Path

import pytest

from service_chassis.testing.servers import PrivateRabbitMQ, PrivateRedis, Servers
from tests.running.access import manager, refused_everywhere
from tests.running.native import Native

pytestmark = pytest.mark.servers


def test_a_manager_who_signed_out_is_refused_everywhere_also_without_rabbitmq_and_redis(
    tmp_path: Path, servers: Servers, mortal_rabbitmq: PrivateRabbitMQ
) -> None:
    with (
        PrivateRedis() as redis,
        Native(tmp_path / "steward", servers.postgres, mortal_rabbitmq.url, redis.url) as system,
    ):
        door = manager(system)
        mortal_rabbitmq.kill()
        redis.kill()

        signed_out = door.post("/api/v1/auth/logout")
        codes = refused_everywhere(system, door)
        # The system tidies up on the broker when it ends.
        mortal_rabbitmq.start()

    assert signed_out.status == 200
    assert codes == {"session_ended"}
