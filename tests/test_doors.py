"""The sockets that the gate listens on."""

import socket

from gate.doors import open_port


def test_whoever_vanished_is_noticed_some_day() -> None:
    (door,) = open_port("127.0.0.1", 0, key="port")
    with door, socket.create_connection(door.getsockname()):
        door.settimeout(5)
        connection, _ = door.accept()
        with connection:
            assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
