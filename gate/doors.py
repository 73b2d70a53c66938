"""The sockets that the gate listens on, opened before anything else may go wrong with them."""

import errno
import os
import socket
import stat
from contextlib import suppress
from pathlib import Path

BACKLOG = 1024
"""Connections that wait to be accepted; the kernel's own bound is net.core.somaxconn."""

SOCKET_MODE = 0o660
"""Who may connect to a socket in the file system: the gate's user and group."""


class ServeProblem(Exception):
    """The gate could not go on listening; the message says what to change."""


def open_port(host: str, port: int, *, key: str) -> list[socket.socket]:
    """Listening sockets on every address of a host, all with the same port. `key` is the setting or
    option that names the port. Raises `ServeProblem` where one cannot be had."""
    doors: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in dict.fromkeys(found):
            taken = int(doors[0].getsockname()[1]) if doors else port
            doors.append(
                _door(family, kind, protocol, (str(address[0]), taken, *map(int, address[2:])))
            )
    except OSError as error:
        for door in doors:
            door.close()
        raise ServeProblem(_why_not(error, host, port, key)) from None
    return doors


def _door(family: int, kind: int, protocol: int, address: tuple[str | int, ...]) -> socket.socket:
    door = socket.socket(family, kind, protocol)
    try:
        door.setblocking(False)
        if os.name == "posix":
            door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # its connections have it from here: a client that vanished is noticed some day
        door.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if family == socket.AF_INET6:
            door.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        door.bind(address)
        door.listen(BACKLOG)
    except OSError:
        door.close()
        raise
    return door


def open_path(
    path: Path, *, mode: int = SOCKET_MODE, key: str = "[server] socket"
) -> list[socket.socket]:
    """A listening socket in the file system, in the place of one that nobody listens on any more.
    `key` is the setting that names the place. Raises `ServeProblem`."""
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        clear_path(path)
        before = os.umask(0o777 & ~mode)
        try:
            door.bind(os.fspath(path))
        finally:
            os.umask(before)
        door.setblocking(False)
        door.listen(BACKLOG)
    except OSError as error:
        door.close()
        reason = (error.strerror or str(error)).lower()
        raise ServeProblem(f"cannot listen on {path}: {reason}: change {key}") from None
    return [door]


def clear_path(path: Path) -> None:
    """Remove a socket that nobody listens on. Raises OSError where somebody does, and leaves
    alone what is no socket: `bind` then says that the address is in use."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            return
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            with suppress(FileNotFoundError):
                path.unlink()
            return
    raise OSError(errno.EADDRINUSE, "another program listens there")


def _why_not(error: OSError, host: str, port: int, key: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is taken by another program: change {key}"
    reason = (error.strerror or str(error)).lower()
    return f"cannot listen on {host} port {port}: {reason}: change {key} or host"
