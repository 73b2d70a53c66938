"""The order of a check."""

import asyncio

from gate import tokens
from gate.check import verdicts
from gate.check.ear import Ear
from gate.check.facts import Facts
from gate.check.jwts import KeyCheck
from gate.check.mask import Mask, secrets_of
from gate.check.report import Report
from gate.check.surroundings import look_around
from gate.check.verify_api import Interview
from gate.clocks import CLOCKS, Clocks
from gate.config.settings import Settings
from gate.session import SessionSeal
from gate.verify.jose.verifier import JwtVerifier
from gate.verify.presets import make_verifier


def examine(settings: Settings, *, token: str | None, clocks: Clocks = CLOCKS) -> Report:
    """Look at everything. Asks the verify API about a random, an empty and a long token, and
    about `token`. The report holds neither that token nor a secret of the settings."""
    report = Report()
    look_around(settings, report)
    asyncio.run(_ask_around(settings, token, report, clocks))
    return report


async def _ask_around(settings: Settings, text: str | None, report: Report, clocks: Clocks) -> None:
    if settings.cache.shared_url:
        from gate.check.shared import shared_tier  # its library is an extra

        await shared_tier(settings.cache.shared_url, report)
    try:
        await _verifier(settings, text, report, clocks)
    except (OSError, ValueError) as error:
        report.problem(verdicts.NO_FILES.with_facts({"found": str(error)}))
    if text is None:
        report.note(verdicts.NO_TOKEN_GIVEN)


async def _verifier(settings: Settings, text: str | None, report: Report, clocks: Clocks) -> None:
    mask = Mask([*secrets_of(settings), text or ""])
    ear = Ear(mask, clocks.monotonic)
    token = None if text is None else tokens.parse(text)
    async with make_verifier(
        settings.verify,
        settings.introspection,
        settings.jwt,
        session_expires=settings.session.expires,
        wall=clocks.wall,
        listener=ear,
    ) as verifier:
        if isinstance(verifier, JwtVerifier):
            jwts = KeyCheck(settings.verify, settings.jwt, verifier, ear, mask, report, clocks.wall)
            if await jwts.keys() and token is not None:
                await jwts.given(token)
        else:
            facts = Facts.of(settings.verify)
            report.say(f"verify API: {facts.method} {facts.url}, {facts.token}")
            interview = Interview(settings.verify, verifier, ear, mask, report, clocks.wall)
            if await interview.made_up() and token is not None:
                await interview.given(token)
    if text is not None:
        _form(settings, token, report)


def _form(settings: Settings, token: tokens.Token | None, report: Report) -> None:
    """What can be said of the given token by looking at it."""
    about = "the given token"
    if token is None:
        report.problem(verdicts.MALFORMED, about)
        return
    seal = SessionSeal(settings.session, [bytes(32)], lambda: 0.0)
    if not seal.fits(seal.new(token, expires=None, subject=None)):
        found = {"found": str(len(token.text))}
        report.problem(verdicts.TOO_LONG.with_facts(found), about)
