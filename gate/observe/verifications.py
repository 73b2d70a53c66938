"""Counts and times the questions to the verifier, as a verifier around the verifier."""

import time
from collections import Counter
from dataclasses import dataclass
from typing import Protocol

from gate import behalf
from gate.cache import Verdict
from gate.observe.histogram import Histogram, Spread
from gate.tokens import Token
from gate.trace import Trace
from gate.verify.cause import Cause
from gate.verify.judge import VerifyUnavailable

NOT_ASKED = frozenset({Cause.NO_TURN, Cause.QUEUE_FULL, Cause.RESTING})
"""Why there may be no answer although the API did nothing wrong just now: nobody asked it."""


class Verifier(Protocol):
    """Whoever judges."""

    async def verify(self, token: Token) -> Verdict:
        """Ask. Raises `VerifyUnavailable`."""


class QuestionSpans(Protocol):
    """Whoever keeps traces."""

    def asked(self, trace: Trace, began: float, ended: float, result: str) -> None:
        """A question was put and answered; Unix time in seconds."""


@dataclass(frozen=True, slots=True)
class VerificationStatistics:
    """Counts since the start, and how many are under way now."""

    results: Counter[str]
    """"yes", "no", "unavailable", and "not_asked" where nobody asked."""
    causes: Counter[str]
    """Why there was no answer."""
    durations: Spread
    """Of those that were asked."""
    under_way: int


class Verifications:
    """A verifier that counts. With `spans` every question is a span of its own."""

    def __init__(self, verifier: Verifier, spans: QuestionSpans | None = None) -> None:
        self._verifier = verifier
        self._spans = spans
        self._results: Counter[str] = Counter()
        self._causes: Counter[str] = Counter()
        self._durations = Histogram()
        self._under_way = 0

    async def verify(self, token: Token) -> Verdict:
        """Ask. Raises `VerifyUnavailable`."""
        if self._spans is None:
            return await self._verify(token)
        began, result = time.time(), "unavailable"
        with behalf.question() as trace:
            try:
                verdict = await self._verify(token)
                result = _result(verdict)
            finally:
                self._spans.asked(trace, began, time.time(), result)
        return verdict

    async def _verify(self, token: Token) -> Verdict:
        began = time.perf_counter()
        self._under_way += 1
        try:
            verdict = await self._verifier.verify(token)
        except VerifyUnavailable as problem:
            self._causes[problem.cause.value] += 1
            asked = problem.cause not in NOT_ASKED
            self._results["unavailable" if asked else "not_asked"] += 1
            if asked:
                self._durations.note(time.perf_counter() - began)
            raise
        finally:
            self._under_way -= 1
        self._results[_result(verdict)] += 1
        self._durations.note(time.perf_counter() - began)
        return verdict

    def statistics(self) -> VerificationStatistics:
        """For whoever keeps metrics."""
        return VerificationStatistics(
            self._results.copy(), self._causes.copy(), self._durations.spread(), self._under_way
        )


def _result(verdict: Verdict) -> str:
    return "yes" if verdict.active else "no"
