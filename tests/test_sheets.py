"""Large files by the fast door: the same bytes, whatever the socket takes at a time, and no copy of
them for whoever reads slowly."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import cast

import pytest
import uvloop

from gate.door.door import Door
from gate.door.hot import Peer
from gate.door.sheets import LARGEST, POSSIBLE, Sheet, Sheets
from gate.serving import SLICE
from tests.conftest import (
    KEY,
    Gate,
    cookie_of,
    make_docs_tree,
    make_settings,
    running_api,
    running_gate,
)
from tests.fakes import GOOD, FakeClock
from tests.raw import PATIENCE, doors_of, until

pytestmark = pytest.mark.skipif(not POSSIBLE, reason="only Linux sends from memory by itself")

FILM = os.urandom(LARGEST)
FILES = {
    "film.bin": FILM,
    "small.bin": b"small",
    "whole.bin": FILM[:SLICE],
    "too-large.bin": bytes(LARGEST + 1),
}
ASKING = "GET {path} HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n\r\n"


Act = Callable[[Gate], Awaitable[None]]
OnUvloop = Callable[[Act], None]


@pytest.fixture
def on_uvloop(tmp_path: Path) -> OnUvloop:
    """Run it with a gate on the loop that `gate serve` uses: asyncio's own makes copies."""
    root = make_docs_tree(tmp_path)
    for name, body in FILES.items():
        (root / name).write_bytes(body)

    async def run(act: Act) -> None:
        async with running_api() as api:
            settings = make_settings(api, root, server={"fast_door": True})
            async with running_gate(settings, (KEY,), FakeClock()) as gate:
                await act(gate)

    return lambda act: uvloop.run(run(act))


async def asked(gate: Gate, *paths: str, slowly: bool = False) -> tuple[bytes, int]:
    """What comes back, all asked for at once, and how many of the answers were hot."""
    cookie = cookie_of(await gate.get(f"/?token={GOOD}"))
    doors = doors_of(gate)
    before = doors.answers
    data = "".join(ASKING.format(path=path, cookie=cookie) for path in paths)
    data = data.removesuffix("\r\n") + "Connection: close\r\n\r\n"
    with socket.socket() as client:
        if slowly:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        await asyncio.get_running_loop().sock_connect(client, (gate.host, gate.port))
        reader, writer = await asyncio.open_connection(sock=client, limit=4096)
        writer.write(data.encode("ascii"))
        async with asyncio.timeout(PATIENCE * 4):
            got = await reader.read()
        writer.close()
    return got, doors.answers - before


def bodies(got: bytes, sizes: list[int]) -> list[bytes]:
    found = []
    for size in sizes:
        head, _, got = got.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert f"\r\nContent-Length: {size}\r\n".encode() in head
        found.append(got[:size])
        got = got[size:]
    assert got == b""
    return found


@pytest.mark.parametrize("slowly", [False, True])
def test_large_and_small_ones_come_in_order(on_uvloop: OnUvloop, slowly: bool) -> None:
    async def act(gate: Gate) -> None:
        await asked(gate, "/small.bin", "/film.bin", "/whole.bin")
        paths = ["/film.bin", "/small.bin", "/whole.bin", "/film.bin", "/small.bin"]
        got, hot = await asked(gate, *paths, "/film.bin", slowly=slowly)
        film, whole = FILM, FILM[:SLICE]
        wanted = [film, b"small", whole, film, b"small", film]
        assert bodies(got, [len(each) for each in wanted]) == wanted
        assert hot == len(paths)  # the last one closes the connection, which is aiohttp's

    on_uvloop(act)


def test_what_is_too_large_goes_by_pieces(on_uvloop: OnUvloop) -> None:
    async def act(gate: Gate) -> None:
        got, hot = await asked(gate, "/too-large.bin", "/too-large.bin")
        assert [len(each) for each in bodies(got, [LARGEST + 1] * 2)] == [LARGEST + 1] * 2
        assert hot == 0

    on_uvloop(act)


def test_tls_goes_by_pieces_as_well(on_uvloop: OnUvloop) -> None:
    async def act(gate: Gate) -> None:
        cookie = cookie_of(await gate.get(f"/?token={GOOD}"))
        head = ASKING.format(path="/film.bin", cookie=cookie).encode("ascii")
        await asked(gate, "/film.bin")
        hot = doors_of(gate).hot
        assert hot.answer(head, Peer("127.0.0.1", "http", by_reference=True)) is not None
        assert hot.answer(head, Peer("127.0.0.1", "https")) is None

    on_uvloop(act)


def test_without_room_for_copies_all_is_sent_all_the_same(
    on_uvloop: OnUvloop, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act(gate: Gate) -> None:
        def full(*_: object) -> int:
            raise OSError("no descriptors left")

        monkeypatch.setattr("gate.door.sheets.os.memfd_create", full)
        got, hot = await asked(gate, "/film.bin", "/film.bin")
        assert bodies(got, [len(FILM)] * 2) == [FILM, FILM]
        assert hot == 1

    on_uvloop(act)


def test_whoever_reads_nothing_costs_no_copy(on_uvloop: OnUvloop) -> None:
    async def act(gate: Gate) -> None:
        cookie = cookie_of(await gate.get(f"/?token={GOOD}"))
        asking = ASKING.format(path="/film.bin", cookie=cookie).encode("ascii")
        await asked(gate, "/film.bin", "/film.bin")
        with contextlib.ExitStack() as stack:
            before = resident_mib()
            for _ in range(50):
                client = stack.enter_context(socket.socket())
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                client.setblocking(False)
                await asyncio.get_running_loop().sock_connect(client, (gate.host, gate.port))
                await asyncio.get_running_loop().sock_sendall(client, asking)
            doors = doors_of(gate)
            await until(lambda: doors.answers >= 51)
            assert sum(map(waiting, doors.connections)) > 40 << 20
            assert resident_mib() - before < 20, "there are copies"

    on_uvloop(act)


def waiting(door: Door) -> int:
    """Bytes that a client has not taken."""
    return door._transport.get_write_buffer_size() if door._transport else 0


def resident_mib() -> float:
    """Now, of this process."""
    fields = Path("/proc/self/status").read_text("ascii").split("VmRSS:")[1].split()
    return int(fields[0]) / 1024


def test_nothing_is_sent_to_a_connection_that_broke_at_the_head() -> None:
    """Its descriptor may be that of something else by then."""
    answer = (b"HTTP/1.1 200 OK\r\n", b"", b"\r\n", Sheet(FILM))
    with pytest.raises(AssertionError, match="socket"):
        Door._write_large(cast(Door, None), cast(asyncio.Transport, _Breaking(False)), answer)
    Door._write_large(cast(Door, None), cast(asyncio.Transport, _Breaking(True)), answer)


class _Breaking:
    """A transport whose client goes, or does not, when it is first written to."""

    def __init__(self, breaks: bool) -> None:
        self._breaks = breaks
        self._written = 0

    def write(self, data: bytes) -> None:
        self._written += 1
        assert self._written == 1

    def is_closing(self) -> bool:
        return self._breaks and self._written > 0

    def get_write_buffer_size(self) -> int:
        return 0

    def get_extra_info(self, name: str) -> None:
        raise AssertionError(name)


# The copies


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        yield ours, theirs


def copies() -> int:
    return sum("docs-gate" in os.readlink(each) for each in Path("/proc/self/fd").iterdir()
               if each.is_symlink())  # fmt: skip


def test_as_much_is_sent_as_the_socket_takes(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    sheets, sheet = Sheets(), Sheet(FILM)
    sent = sheets.send(sheet, ours.fileno())
    assert 0 < sent < len(FILM)
    assert sheets.send(sheet, ours.fileno()) == 0, "it is full"
    assert theirs.recv(sent, socket.MSG_WAITALL) == FILM[:sent]
    theirs.close()
    assert sheets.send(sheet, ours.fileno()) == 0, "nobody is there"


def test_copies_are_bounded_and_go_when_they_are_let_go(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gate.door.sheets.MOST", 10)
    sheets = Sheets()
    before = copies()
    known = [Sheet(bytes([number]) * 4) for number in range(3)]
    for sheet in (known[0], known[1], known[0], known[2]):
        assert sheets.send(sheet, pair[0].fileno()) == 4
    assert copies() - before == 2
    assert pair[1].recv(99) == b"\0\0\0\0\1\1\1\1\0\0\0\0\2\2\2\2"
    sheets.clear()
    assert copies() == before
    assert sheets.send(known[1], pair[0].fileno()) == 4
    del sheets
    assert copies() == before


def test_another_site_lets_go_of_them(on_uvloop: OnUvloop) -> None:
    async def act(gate: Gate) -> None:
        before = copies()
        await asked(gate, "/film.bin", "/film.bin")
        assert copies() == before + 1
        doors_of(gate).hot._forget()
        assert copies() == before

    on_uvloop(act)
