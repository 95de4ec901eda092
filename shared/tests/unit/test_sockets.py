import socket

import pytest


@pytest.mark.parametrize("method", ["connect", "connect_ex"])
def test_a_unit_test_that_opens_a_socket_fails(method: str) -> None:
    with socket.socket() as connection, pytest.raises(pytest.fail.Exception, match="open no sockets"):
        getattr(connection, method)(("127.0.0.1", 9))
