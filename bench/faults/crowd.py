"""The people who ask all the while: readers, who must get the right answer each time, and
strangers, who must never get any page."""

import asyncio
import contextlib
import itertools
import random
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from bench.faults.wire import BROKEN, HOST, Answer, Connection, ask_once, connect, request
from bench.servers import BenchProblem
from gate.config.settings import SessionSettings
from gate.session import SessionSeal
from gate.tokens import Token

READERS = 12
PAUSE = 0.01
"""Seconds between a reader's answer and the next question."""

STRANGERS_PAUSE = 0.02

GOOD = "reader-"
"""What a token begins with that the verify API says yes to."""

SECRET = "operators-secret-of-the-bench"

Judge = Callable[[str, Answer], str]
"""Says what is wrong with the answer for a path; "" where nothing is."""


@dataclass(slots=True)
class Tally:
    """What the people saw."""

    answered: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    """Readers' requests without the right answer, by what was wrong."""
    cut: int = 0
    """Connections of readers that broke; each asked again at once."""
    strangers: int = 0
    """Answers to those who must not be let in."""
    unanswered: int = 0
    """Strangers' requests that got no answer."""
    admitted: Counter[str] = field(default_factory=Counter)
    """Those among the strangers who were let in, by what they had."""

    def add(self, other: "Tally") -> None:
        """What other people saw."""
        self.answered += other.answered
        self.lost += other.lost
        self.cut += other.cut
        self.strangers += other.strangers
        self.unanswered += other.unanswered
        self.admitted += other.admitted


def new_token() -> str:
    """One that nobody had before and the verify API says yes to."""
    return GOOD + secrets.token_urlsafe(24)


def wanted(answer: Answer, status: int, what: str) -> None:
    """Raises `BenchProblem` where the answer is another one: there is nothing to measure then."""
    if answer.status != status:
        raise BenchProblem(f"{what} got {answer.status}, and not {status}")


async def sign_in(port: int, token: str, source: str = "127.0.0.1") -> str:
    """Come in, and get the cookie. Raises `BenchProblem` where the gate says no."""
    answer = await ask_once(port, f"/?token={token}", source=source)
    wanted(answer, 303, "a good token")
    return answer.cookie


async def sign_out(port: int, cookie: str) -> None:
    """End a session everywhere."""
    origin = f"https://{HOST}"
    answer = await ask_once(
        port, "/-/sign-out", method="POST", cookie=cookie, Origin=origin, Content_Length="0"
    )
    wanted(answer, 303, "a sign-out")


async def revoke(port: int, token: str) -> None:
    """End a token, as the operator."""
    order = f'{{"token": "{token}"}}'.encode()
    answer = await ask_once(
        port,
        "/-/revoke",
        method="POST",
        body=order,
        Authorization=f"Bearer {SECRET}",
        Content_Type="application/json",
        Content_Length=str(len(order)),
    )
    wanted(answer, 204, "a revocation")


@dataclass(frozen=True, slots=True)
class Stranger:
    """Somebody who must not be let in."""

    name: str
    path: str = "/"
    cookie: str = ""
    bearer: str = ""

    def head(self) -> bytes:
        """The request."""
        more = {"Authorization": f"Bearer {self.bearer}"} if self.bearer else {}
        return request(self.path, cookie=self.cookie, **more)


async def strangers(port: int) -> list[Stranger]:
    """All kinds of them. Those who were revoked were readers first: that they were, is seen."""
    left, ended = [await _reader(port) for _ in range(2)]
    await sign_out(port, left[1])
    await revoke(port, ended[0])
    good = (await _reader(port))[1]
    middle = len(good) // 2
    turned = good[:middle] + ("A" if good[middle] != "A" else "B") + good[middle + 1 :]
    return [
        Stranger("nothing"),
        Stranger("nonsense", cookie="__Host-gate=nonsense"),
        Stranger("a cookie with one letter changed", cookie=turned),
        Stranger("a cookie under another key", cookie=_forged()),
        Stranger("the cookie of who signed out", cookie=left[1]),
        Stranger("the cookie of a revoked token", cookie=ended[1]),
        Stranger("a revoked token", bearer=ended[0]),
        Stranger("a revoked token to come in", path=f"/?token={ended[0]}"),
        Stranger("a token of nobody", bearer="stranger-of-the-bench"),
        Stranger("a token of nobody to come in", path="/?token=stranger-of-the-bench"),
    ]


async def _reader(port: int) -> tuple[str, str]:
    token = new_token()
    cookie = await sign_in(port, token)
    answer = await ask_once(port, "/", cookie=cookie)
    wanted(answer, 200, "a reader")
    return token, cookie


def _forged() -> str:
    seal = SessionSeal(SessionSettings(), [secrets.token_bytes(32)], time.time)
    session = seal.new(Token(new_token()), expires=None, subject=None)
    return seal.set_cookie(session).partition(";")[0]


class Crowd:
    """Asks on `port` while `busy`; `judge` looks at each answer to a reader."""

    def __init__(
        self,
        port: int,
        paths: Sequence[str],
        judge: Judge,
        *,
        source: str = "127.0.0.1",
        pause: float = PAUSE,
    ) -> None:
        self.port = port
        self.tally = Tally()
        self.judge = judge
        self.cookies: list[str] = []
        self.strangers: list[Stranger] = []
        self._paths = paths
        self._source = source
        self._pause = pause
        self._over = asyncio.Event()

    async def gather(self, readers: int = READERS) -> None:
        """Let them all come in, and the strangers get what they have."""
        self.cookies = [await sign_in(self.port, new_token(), self._source) for _ in range(readers)]
        self.strangers = await strangers(self.port)

    @asynccontextmanager
    async def busy(self) -> AsyncIterator[None]:
        """They ask as long as the context lasts."""
        self._over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for cookie in self.cookies:
                group.create_task(self._read(cookie))
            if self.strangers:
                group.create_task(self._knock())
            try:
                yield
            finally:
                self._over.set()

    async def _read(self, cookie: str) -> None:
        connection: Connection | None = None
        again = 0
        while not self._over.is_set():
            path = random.choice(self._paths)
            if connection is None or not connection.reusable:
                connection = await self._connect(connection)
                if connection is None:
                    continue
            try:
                answer = await connection.ask(request(path, cookie=cookie))
            except BROKEN as broken:
                self.tally.cut += 1
                again += 1
                if again > 1:
                    self.tally.lost[f"no answer twice ({type(broken).__name__})"] += 1
                continue
            again = 0
            self.note(path, answer)
            await asyncio.sleep(self._pause)
        if connection is not None:
            connection.close()

    async def _connect(self, before: Connection | None) -> Connection | None:
        if before is not None:
            before.close()
        try:
            return await connect(self.port, self._source)
        except OSError:
            await asyncio.sleep(0.02)
            return None

    def note(self, path: str, answer: Answer) -> None:
        """Count an answer that a reader got."""
        wrong = self.judge(path, answer)
        if wrong:
            self.tally.lost[wrong] += 1
        else:
            self.tally.answered += 1

    async def _knock(self) -> None:
        for stranger in itertools.cycle(self.strangers):
            if self._over.is_set():
                return
            await self._knock_once(stranger)
            await asyncio.sleep(STRANGERS_PAUSE)

    async def _knock_once(self, stranger: Stranger) -> None:
        try:
            connection = await connect(self.port, self._source)
            with contextlib.closing(connection):
                answer = await connection.ask(stranger.head())
        except (OSError, *BROKEN):
            self.tally.unanswered += 1
            return
        self.tally.strangers += 1
        if answer.status < 400:
            self.tally.admitted[f"{stranger.name}: {answer.status}"] += 1
        elif answer.status not in (401, 403, 429, 503):
            self.tally.lost[f"{stranger.name} got {answer.status}"] += 1
