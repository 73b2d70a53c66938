"""The preset "jwt": are the keys there, and what do they say about the given token."""

from collections.abc import Callable
from dataclasses import replace

from gate import tokens
from gate.check import verdicts
from gate.check.ear import Ear
from gate.check.facts import Facts, diagnosis_of
from gate.check.mask import Mask
from gate.check.report import Diagnosis, Report
from gate.check.verify_api import SOON, described
from gate.config.settings import JwtSettings, VerifySettings
from gate.config.spelling import masked_url
from gate.verify.jose.refusal import Refusal
from gate.verify.jose.verifier import JwtVerifier
from gate.verify.judge import VerifyUnavailable


class KeyCheck:
    """Looks at the keys once; no API is asked about a token. `wall` is Unix time."""

    def __init__(
        self,
        verify: VerifySettings,
        settings: JwtSettings,
        verifier: JwtVerifier,
        ear: Ear,
        mask: Mask,
        report: Report,
        wall: Callable[[], float],
    ) -> None:
        self._place = str(settings.key_file or f"the JWKS {masked_url(verify.url)}")
        self._is_fetched = settings.key_file is None
        self._facts = Facts.of(verify)
        self._verifier = verifier
        self._ear = ear
        self._mask = mask
        self._report = report
        self._wall = wall

    async def keys(self) -> bool:
        """Whether there are keys to hold a token against."""
        self._ear.begin()
        try:
            found = await self._verifier.keys()
        except VerifyUnavailable as problem:
            self._ear.end()
            self._report.problem(self._diagnosis(problem), self._place, self._evidence)
            return False
        self._ear.end()
        number = len(found.keys)
        what = f"{self._place}: {number} usable key{'' if number == 1 else 's'}"
        self._report.fine(what, self._evidence)
        for each in found.suspicious:
            ignored = verdicts.KEY_IGNORED.with_facts({"found": self._mask(each)})
            self._report.note(ignored, self._place)
        return True

    async def given(self, token: tokens.Token) -> None:
        """A token that should be good."""
        about = "the given token"
        try:
            verdict = await self._verifier.judged(token)
        except VerifyUnavailable as problem:
            self._report.problem(self._diagnosis(problem), about)
            return
        if isinstance(verdict, Refusal):
            self._report.problem(verdicts.refusal(verdict), about)
        elif verdict.subject is not None and token.text in verdict.subject:
            self._report.problem(verdicts.SUBJECT_IS_TOKEN, about)
        else:
            self._report.fine(f"{about} is good{described(verdict, self._mask)}")
            left = (verdict.expires or 0.0) - self._wall()
            if left < SOON:
                soon = verdicts.EXPIRES_SOON.with_facts({"seconds": f"{left:.0f} s"})
                self._report.note(soon, about)

    @property
    def _evidence(self) -> str:
        return self._ear.evidence if self._is_fetched else ""

    def _diagnosis(self, problem: VerifyUnavailable) -> Diagnosis:
        ignored = "; ".join(self._verifier.known.ignored) or "it has none"
        facts = replace(
            self._facts,
            status=str(self._ear.status),
            location=self._ear.location or "nowhere (it names no Location)",
            seconds=f"{problem.retry_after} s",
            found=self._mask(ignored),
        )
        return diagnosis_of(problem.cause, facts)
