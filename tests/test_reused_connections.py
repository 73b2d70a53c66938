"""The verify API ends a connection that was left open, just as the next question is put."""

import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from gate.cache import Verdict
from gate.config.settings import VerifySettings
from gate.tokens import Token
from gate.verify.api import ApiVerifier
from gate.verify.breaker import RETRY_SAVINGS
from gate.verify.cause import Cause
from gate.verify.judge import VerifyUnavailable

YES = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntrue"
PATIENCE = 10.0
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: closing throws away and resets."""


class Ending:
    """An API in a thread: it ends each connection when told to, and not before."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/verify"
        self.answer = YES
        self.questions = 0
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
                while b"\r\n\r\n" not in connection.recv(65536, socket.MSG_PEEK):
                    pass
                connection.recv(65536)
                self.questions += 1
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


def verifier(api: Ending) -> ApiVerifier:
    return ApiVerifier(VerifySettings(url=api.url, timeout=PATIENCE))


async def test_it_is_no_failure_however_often(ending: Ending) -> None:
    times = int(RETRY_SAVINGS) + 5
    async with verifier(ending) as asking:
        for number in range(times):
            assert await asking.verify(Token(f"t{number}")) == Verdict(active=True)
            ending.end()
        assert asking.breaker.may_retry()
    assert ending.questions == times


async def test_a_new_connection_that_is_reset_is_tried_once_more(ending: Ending) -> None:
    ending.answer = b""
    async with verifier(ending) as asking:
        with pytest.raises(VerifyUnavailable) as caught:
            await asking.verify(Token("good"))
    assert caught.value.cause is Cause.RESET
    assert ending.questions == 2


async def test_what_ends_in_the_midst_of_an_answer_is_not_asked_again(ending: Ending) -> None:
    ending.answer = YES.removesuffix(b"true")
    async with verifier(ending) as asking:
        ending.let_end()
        with pytest.raises(VerifyUnavailable) as caught:
            await asking.verify(Token("good"))
    assert caught.value.cause is Cause.BODY_BROKEN
    assert ending.questions == 1
