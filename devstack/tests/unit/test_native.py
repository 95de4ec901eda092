from devstack.native import addresses, database_url, environment


def test_each_service_gets_a_database_named_after_the_one_given() -> None:
    assert database_url("postgresql://anna:p%40ss@server:5433/steward", "user") == (
        "postgresql://anna:p%40ss@server:5433/steward_user_service"
    )


def test_only_the_processes_of_a_service_get_its_database() -> None:
    env = {"DATABASE_URL": "postgresql://server/steward", "PATH": "/bin"}

    assert environment("user-worker", env)["DATABASE_URL"] == "postgresql://server/steward_user_service"
    assert environment("cleanup-web", env)["DATABASE_URL"] == "postgresql://server/steward_cleanup_service"
    assert environment("gateway", env)["DATABASE_URL"] == "postgresql://server/steward"


def test_an_address_that_is_configured_is_where_others_look_for_it() -> None:
    found = addresses({"USER_SERVICE_BIND": "0.0.0.0:7001"})

    assert found["USER_SERVICE_BIND"] == "0.0.0.0:7001"
    assert found["USER_SERVICE_URL"] == "http://127.0.0.1:7001"


def test_addresses_that_are_not_configured_are_different_ones() -> None:
    binds = [bind for name, bind in addresses({}).items() if name.endswith("_BIND")]

    assert len(set(binds)) == len(binds) == 8
