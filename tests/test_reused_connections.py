"""An API ends a connection that was left open, just as the next question is put."""

import re
import socket
import struct
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from gate.cache import Verdict
from gate.config.settings import VerifySettings
from gate.config.sign_in import QrSettings
from gate.sign_in.asking import Api
from gate.tokens import Token
from gate.verify.api import ApiVerifier
from gate.verify.breaker import RETRY_SAVINGS
from gate.verify.cause import Cause
from gate.verify.judge import VerifyUnavailable

YES = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntrue"
PATIENCE = 10.0
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: closing throws away and resets."""


def _read(connection: socket.socket) -> bytes:
    """A whole request; its body."""
    raw = b""
    while True:
        head, end, body = raw.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        if end and len(body) >= int(length[1] if length else 0):
            return body
        raw += connection.recv(65536)


class Ending:
    """An API in a thread: it ends each connection when told to, and not before."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/verify"
        self.answer = YES
        self.questions: list[bytes] = []
        self._end, self._ended = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self.questions.append(_read(connection))
                connection.sendall(self.answer)
                if self.answer:
                    self._end.wait(PATIENCE)
                    self._end.clear()
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self._ended.set()

    def let_end(self) -> None:
        """Reset the open connection, or the next one once it has its answer."""
        self._end.set()

    def end(self) -> None:
        """The same. It is done on return, and no event loop has seen it."""
        self.let_end()
        assert self._ended.wait(PATIENCE)
        self._ended.clear()

    def stop(self) -> None:
        self.let_end()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(PATIENCE)


@pytest.fixture
def ending() -> Iterator[Ending]:
    api = Ending()
    yield api
    api.stop()


def verifier(api: Ending, **settings: Any) -> ApiVerifier:
    return ApiVerifier(VerifySettings(url=api.url, timeout=PATIENCE, **settings))


@pytest.mark.parametrize(
    ("settings", "body"),
    [({}, b""), ({"method": "POST", "token_in": "form"}, b"token=t%d")],
    ids=["GET", "POST"],
)
async def test_it_is_no_failure_however_often(
    ending: Ending, settings: dict[str, Any], body: bytes
) -> None:
    times = range(int(RETRY_SAVINGS) + 5)
    async with verifier(ending, **settings) as asking:
        for number in times:
            assert await asking.verify(Token(f"t{number}")) == Verdict(active=True)
            ending.end()
        assert asking.breaker.may_retry()
    assert ending.questions == [body % number if body else b"" for number in times]


async def test_nor_when_somebody_signs_in(ending: Ending) -> None:
    async with Api(QrSettings(timeout=PATIENCE)) as api:
        for number in range(3):
            assert (await api.post_form(ending.url, {"n": str(number)})).document is True
            ending.end()
    assert ending.questions == [b"n=0", b"n=1", b"n=2"]


async def test_a_new_connection_that_is_reset_is_tried_once_more(ending: Ending) -> None:
    ending.answer = b""
    async with verifier(ending) as asking:
        with pytest.raises(VerifyUnavailable) as caught:
            await asking.verify(Token("good"))
    assert caught.value.cause is Cause.RESET
    assert len(ending.questions) == 2


async def test_what_ends_in_the_midst_of_an_answer_is_not_asked_again(ending: Ending) -> None:
    ending.answer = YES.removesuffix(b"true")
    async with verifier(ending) as asking:
        ending.let_end()
        with pytest.raises(VerifyUnavailable) as caught:
            await asking.verify(Token("good"))
    assert caught.value.cause is Cause.BODY_BROKEN
    assert len(ending.questions) == 1
