"""Asks the verify API as a reader's token would, and tells what came of each question."""

import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Final, get_args

from gate import tokens
from gate.cache import Verdict
from gate.check import shape, verdicts
from gate.check.ear import Ear
from gate.check.facts import Facts, diagnosis_of
from gate.check.mask import Mask
from gate.check.report import Diagnosis, Report
from gate.config.settings import Algorithm, VerifySettings
from gate.verify import strict_json
from gate.verify.api import ApiVerifier
from gate.verify.cause import Cause
from gate.verify.jose.refusal import Refusal
from gate.verify.jose.verifier import parse
from gate.verify.judge import Pointer, VerifyUnavailable

SOON: Final = 60.0
"""Seconds of life below which a given token is as good as over."""

MILLISECONDS: Final = 1e11
"""As seconds since 1970 that is the year 5138; as milliseconds it is 1973."""

_SLOW = 0.5  # of [verify] timeout

_HOPELESS: Final = frozenset(
    {
        Cause.REFUSED, Cause.UNREACHABLE, Cause.NAME_UNKNOWN, Cause.CONNECT_TIMEOUT,
        Cause.UNTRUSTED, Cause.CERTIFICATE_EXPIRED, Cause.WRONG_HOST, Cause.NOT_TLS,
        Cause.CLIENT_CERTIFICATE, Cause.TLS, Cause.PROXY,
        Cause.OWN_CREDENTIALS, Cause.BUSY, Cause.RESTING,
    }
)  # fmt: skip
"""Causes for which no other token will fare better, or asking again is rude."""


@dataclass(frozen=True, slots=True)
class Told:
    """What came of a question: a verdict, or why there is none."""

    evidence: str
    status: int | None
    seconds: float
    verdict: Verdict | None = None
    diagnosis: Diagnosis | None = None
    hopeless: bool = False
    """Whether no other token would fare better."""
    lacks_scope: bool = False


class Interview:
    """Questions to the API of `[verify]`, one after the other. `wall` is Unix time."""

    def __init__(
        self,
        settings: VerifySettings,
        verifier: ApiVerifier,
        ear: Ear,
        mask: Mask,
        report: Report,
        wall: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._verifier = verifier
        self._ear = ear
        self._mask = mask
        self._report = report
        self._wall = wall
        self._facts = Facts.of(settings)
        self._random: Told | None = None

    async def made_up(self) -> bool:
        """Tokens that nobody handed out. Returns whether a good one is worth a try.

        The gate itself would never ask about an empty one: this is about the API.
        """
        random = await self._ask(tokens.Token(secrets.token_urlsafe(32)))
        self._random = random
        self._tell_bad("a random token", random, verdicts.YES_TO_RANDOM)
        if random.verdict is None or random.verdict.active:
            self._report.note(verdicts.NOT_ASKED)
            return not random.hopeless
        empty = await self._ask(tokens.Token(""))
        self._tell_empty(empty)
        text = secrets.token_urlsafe(tokens.MAX_TOKEN_BYTES)[: tokens.MAX_TOKEN_BYTES]
        self._tell_long(await self._ask(tokens.Token(text)))
        return True

    async def given(self, token: tokens.Token) -> None:
        """A token that should be good."""
        told = await self._ask(token)
        about = "the given token"
        if told.diagnosis is not None:
            self._report.problem(told.diagnosis, about, told.evidence)
        elif told.verdict is not None:
            self._tell_given(token, told, told.verdict)
        if _is_jwt(token):
            self._report.note(verdicts.IS_A_JWT, about)
        self._tell_slow(about, told)

    async def _ask(self, token: tokens.Token) -> Told:
        self._ear.begin()
        verdict, problem = None, None
        try:
            verdict = await self._verifier.verify(token)
        except VerifyUnavailable as error:
            problem = error
        self._ear.end()
        told = Told(self._ear.evidence, self._ear.status, self._ear.seconds, verdict)
        if problem is None:
            return replace(told, lacks_scope=verdict is not None and self._lacks_scope(verdict))
        cause = self._cause(problem.cause)
        found = diagnosis_of(cause, self._facts_of(problem.retry_after))
        return replace(told, diagnosis=found, hopeless=cause in _HOPELESS)

    def _cause(self, cause: Cause) -> Cause:
        # the judge does not see the type, which tells a page without a tag at its beginning
        return Cause.HTML if cause is Cause.NOT_JSON and self._ear.is_html else cause

    def _facts_of(self, retry_after: int) -> Facts:
        facts = replace(
            self._facts,
            status=str(self._ear.status),
            location=self._ear.location or "nowhere (it names no Location)",
            seconds=f"{retry_after} s",
        )
        document = self._document()
        if document is _NOTHING:
            return facts
        document = self._mask.shape(document)
        return replace(
            facts,
            found=shape.found(document),
            cure=shape.cure(document, self._settings.active),
        )

    def _document(self) -> object:
        try:
            return strict_json.loads(self._ear.body or b"")
        except ValueError:
            return _NOTHING

    def _lacks_scope(self, verdict: Verdict) -> bool:
        """A no although the API says yes: only a scope that is wanted makes that."""
        return not verdict.active and (
            self._ear.status == 200
            and Pointer(self._settings.active).find(self._document()) is True
        )

    def _tell_bad(self, about: str, told: Told, alarm: Diagnosis) -> None:
        if told.diagnosis is not None:
            self._report.problem(told.diagnosis, about, told.evidence)
        elif told.verdict is not None and (told.verdict.active or told.lacks_scope):
            self._report.problem(self._filled(alarm), about, told.evidence)
        else:
            self._report.fine(f"{about}: the API says no, as it should", told.evidence)
        self._tell_slow(about, told)

    def _tell_empty(self, told: Told) -> None:
        if told.diagnosis is None:
            self._tell_bad("an empty token", told, verdicts.YES_TO_EMPTY)
        else:  # whatever that is, it lets nobody in, and the gate never asks
            what = "an empty token: neither yes nor no, which does no harm"
            self._report.fine(what, told.evidence)

    def _tell_long(self, told: Told) -> None:
        if told.diagnosis is None:
            self._tell_bad("a long token", told, verdicts.YES_TO_LONG)
        else:
            self._report.note(verdicts.LONG_UNANSWERED, "a long token", told.evidence)

    def _tell_given(self, token: tokens.Token, told: Told, verdict: Verdict) -> None:
        about = "the given token"
        if not verdict.active:
            self._report.problem(self._refusal(told), about, told.evidence)
        elif verdict.subject is not None and token.text in verdict.subject:
            self._report.problem(verdicts.SUBJECT_IS_TOKEN, about, told.evidence)
        elif verdict.expires is not None and verdict.expires <= self._wall():
            ago = self._wall() - verdict.expires
            past = self._filled(verdicts.EXPIRES_PAST, seconds=f"{ago:.0f} s")
            self._report.problem(past, about, told.evidence)
        else:
            self._report.fine(f"{about} is good{described(verdict, self._mask)}", told.evidence)
            self._tell_end(about, verdict)

    def _refusal(self, told: Told) -> Diagnosis:
        if told.lacks_scope:
            return verdicts.SCOPE_LACKS
        by_status = told.status in (401, 403)
        if by_status and self._random is not None and self._random.status == told.status:
            return self._filled(verdicts.REFUSED_BY_STATUS, status=str(told.status))
        return self._filled(verdicts.REFUSED)

    def _tell_end(self, about: str, verdict: Verdict) -> None:
        if verdict.expires is None:
            return
        left = verdict.expires - self._wall()
        if verdict.expires > MILLISECONDS:
            self._report.note(self._filled(verdicts.MILLISECONDS), about)
        elif left < SOON:
            self._report.note(self._filled(verdicts.EXPIRES_SOON, seconds=f"{left:.0f} s"), about)

    def _tell_slow(self, about: str, told: Told) -> None:
        if told.verdict is not None and told.seconds > _SLOW * self._settings.timeout:
            slow = self._filled(verdicts.SLOW, seconds=f"{told.seconds:.1f} s")
            self._report.note(slow, about)

    def _filled(self, found: Diagnosis, **facts: str) -> Diagnosis:
        return found.with_facts({**asdict(self._facts), **facts})


_NOTHING = object()
"""What stands for an answer that is no JSON."""


def described(verdict: Verdict, mask: Mask) -> str:
    """For whom and until when a token is good, in words."""
    who = f", for {mask(repr(verdict.subject))}" if verdict.subject is not None else ""
    until = f", until Unix time {verdict.expires:.0f}" if verdict.expires is not None else ""
    return who + until


def _is_jwt(token: tokens.Token) -> bool:
    return not isinstance(parse(token.text, get_args(Algorithm)), Refusal)
