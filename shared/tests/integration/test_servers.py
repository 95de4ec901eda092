import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from redis import Redis as Client
from redis.exceptions import TimeoutError as RedisTimeout

from service_chassis.testing.servers import (
    Postgres,
    PrivatePostgres,
    PrivateRabbitMQ,
    PrivateRedis,
    Redis,
    ServerError,
    Servers,
    amqp,
)
from service_chassis.testing.servers.guard import wait_until
from service_chassis.testing.servers.process import free_port, listens

pytestmark = [pytest.mark.servers, pytest.mark.serial]


@pytest.fixture(scope="module")
def postgres() -> Iterator[PrivatePostgres]:
    with PrivatePostgres() as server:
        yield server


@pytest.fixture(scope="module")
def redis() -> Iterator[PrivateRedis]:
    with PrivateRedis() as server:
        yield server


def value(url: str, query: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(query).fetchone()
        assert row is not None
        return row[0]


def execute(url: str, *statements: str) -> None:
    with psycopg.connect(url) as connection:
        for statement in statements:
            connection.execute(statement)


def check(env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "service_chassis.testing.servers", "check"]
    return subprocess.run(command, env={**os.environ, **env}, capture_output=True, text=True, check=False)


def test_postgres_keeps_what_was_committed_through_a_kill_and_nothing_else(postgres: PrivatePostgres) -> None:
    execute(postgres.url, "CREATE TABLE kept (id int)", "INSERT INTO kept VALUES (1)")
    with psycopg.connect(postgres.url) as open_transaction:
        open_transaction.execute("INSERT INTO kept VALUES (2)")

        postgres.kill()
        with pytest.raises(psycopg.OperationalError):
            open_transaction.execute("SELECT 1")

    postgres.start()
    assert value(postgres.url, "SELECT array_agg(id) FROM kept") == [1]


def test_private_postgres_syncs_unless_told_otherwise(postgres: PrivatePostgres) -> None:
    assert value(postgres.url, "SHOW fsync") == "on"
    with PrivatePostgres({"fsync": "off", "max_connections": "7"}) as hasty:
        assert value(hasty.url, "SHOW fsync") == "off"
        assert value(hasty.url, "SHOW max_connections") == "7"


def test_a_test_database_is_new_or_a_copy_and_can_be_dropped_while_in_use(postgres: PrivatePostgres) -> None:
    server = Postgres(postgres.url)
    original = server.create_database("first")
    execute(original, "CREATE TABLE sample AS SELECT 'Ä' AS letter")

    copy = server.create_database("second", template=original)
    assert value(copy, "SELECT lower(letter) FROM sample") == "ä"

    with psycopg.connect(copy):
        server.drop_database(copy)
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(copy)

    server.close()
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(original)


def test_rabbitmq_comes_back_on_the_same_port_after_a_kill() -> None:
    with PrivateRabbitMQ() as broker:
        amqp.log_in(broker.url)

        broker.kill()
        with pytest.raises(ServerError, match="refused"):
            amqp.log_in(broker.url)

        broker.start()
        amqp.log_in(broker.url)
        with pytest.raises(ServerError, match="ACCESS_REFUSED"):
            amqp.log_in(broker.url.replace("guest:guest", "guest:wrong"))
        with pytest.raises(ServerError, match="vhost nowhere not found"):
            amqp.log_in(f"{broker.url}nowhere")


def test_redis_keeps_what_it_confirmed_through_a_kill(redis: PrivateRedis) -> None:
    with Client.from_url(redis.url) as client:
        client.set("kept", "yes")

    redis.kill()
    assert not listens(redis.port)

    redis.start()
    with Client.from_url(redis.url) as client:
        assert client.get("kept") == b"yes"


def test_a_frozen_server_hangs_until_it_is_thawed(redis: PrivateRedis) -> None:
    with Client.from_url(redis.url, socket_timeout=0.1, retry=None) as client:
        client.ping()

        redis.freeze()
        with pytest.raises(RedisTimeout):
            client.ping()

        redis.thaw()
        assert client.ping()


def test_a_claimed_redis_database_is_empty_and_nobody_elses() -> None:
    with PrivateRedis() as server, Client.from_url(server.url, db=2) as somebody:
        somebody.set("precious", "data")
        tests = Redis(server.url)
        ours, others = tests.claim_database(), Redis(server.url).claim_database()
        assert [ours, others] == [f"{server.url}/1", f"{server.url}/3"]

        with Client.from_url(ours) as client:
            client.set("left", "behind")
            tests.close()
            assert client.dbsize() == 0
        assert somebody.dbsize() == 1


def test_a_server_named_in_the_environment_wins(postgres: PrivatePostgres, redis: PrivateRedis) -> None:
    with Servers({"TEST_DATABASE_URL": postgres.url, "TEST_REDIS_URL": redis.url}) as servers:
        assert servers.postgres.url == postgres.url
        assert servers.redis.url == redis.url


def test_servers_of_a_session_are_private_on_demand_and_gone_at_its_end() -> None:
    with Servers({"STEWARD_TEST_PRIVATE": "1"}) as servers:
        url = servers.redis.url
        assert url != "redis://127.0.0.1:6379"
        with Client.from_url(url) as client:
            assert client.ping()
    assert not listens(int(url.rpartition(":")[2]))


@pytest.mark.parametrize(
    ("variable", "url", "wanted"),
    [
        ("TEST_DATABASE_URL", "postgresql://postgres:secret@127.0.0.1:{port}/postgres", "postgres"),
        ("TEST_BROKER_URL", "amqp://guest:secret@127.0.0.1:{port}/", "rabbitmq"),
        ("TEST_REDIS_URL", "redis://:secret@127.0.0.1:{port}", "redis"),
    ],
)
def test_a_named_server_that_cannot_be_used_is_an_error(variable: str, url: str, wanted: str) -> None:
    url = url.format(port=free_port())
    with Servers({variable: url}) as servers, pytest.raises(ServerError) as failure:
        getattr(servers, wanted)
    assert variable in str(failure.value)
    assert "refused" in str(failure.value)
    assert "secret" not in str(failure.value)


def test_something_else_on_the_port_is_not_a_broker(postgres: PrivatePostgres) -> None:
    with pytest.raises(ServerError, match="not a RabbitMQ"):
        amqp.log_in(f"amqp://127.0.0.1:{postgres.port}/")


def test_a_server_does_not_outlive_a_killed_test_process() -> None:
    script = (
        "from service_chassis.testing.servers import PrivatePostgres as Server\n"
        "with Server() as server: print(server.port, server._folder, flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as tests:
        assert tests.stdout is not None
        port, folder = tests.stdout.readline().split()
        assert listens(int(port))
        tests.send_signal(signal.SIGKILL)

    assert wait_until(lambda: not listens(int(port)) and not Path(folder).exists(), seconds=10)


def test_check_tells_which_servers_would_be_used(redis: PrivateRedis) -> None:
    good = check({"STEWARD_TEST_PRIVATE": "1", "TEST_REDIS_URL": redis.url})
    assert good.returncode == 0, good.stderr
    assert [line.split()[:2] for line in good.stdout.splitlines()] == [
        ["PostgreSQL", "private"],
        ["RabbitMQ", "private"],
        ["Redis", "named"],
    ]

    bad = check({"STEWARD_TEST_PRIVATE": "1", "TEST_REDIS_URL": f"redis://127.0.0.1:{free_port()}"})
    assert bad.returncode == 1
    assert "TEST_REDIS_URL" in bad.stdout
