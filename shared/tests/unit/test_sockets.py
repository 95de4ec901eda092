import socket

import pytest


@pytest.mark.parametrize("connect", [socket.socket.connect, socket.socket.connect_ex], ids=["connect", "connect_ex"])
def test_a_unit_test_that_opens_a_socket_fails(connect: object) -> None:
    with socket.socket() as connection, pytest.raises(pytest.fail.Exception, match="open no sockets"):
        connection.connect(("127.0.0.1", 9))
