"""`gate check`: what works with these settings and what does not, before a reader finds out."""

import asyncio
import secrets
from dataclasses import dataclass, field

from gate import tokens
from gate.access import Verifier
from gate.app import MIB
from gate.cache import Verdict
from gate.config.settings import Settings
from gate.config.spelling import is_loopback, masked_url
from gate.session import SessionSeal
from gate.site.index import read_site
from gate.site.tree import TreeProblem
from gate.start import server_tls
from gate.verify.jose.verifier import JwtVerifier
from gate.verify.judge import VerifyUnavailable
from gate.verify.presets import make_verifier


@dataclass(slots=True)
class Report:
    """Lines for people. `good` until a problem is noted."""

    good: bool = True
    lines: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The whole report, its verdict last."""
        end = "everything that was checked works" if self.good else "problems were found: see above"
        return "\n".join([*self.lines, "", end])

    def fine(self, what: str) -> None:
        """Something works."""
        self.lines.append(f"ok       {what}")

    def note(self, what: str, next_step: str) -> None:
        """Something may be meant, or not."""
        self.lines.append(f"note     {what}\n         next: {next_step}")

    def problem(self, what: str, next_step: str) -> None:
        """Something does not work."""
        self.good = False
        self.lines.append(f"PROBLEM  {what}\n         next: {next_step}")


def examine(settings: Settings, *, token: str | None) -> Report:
    """Look at everything. Asks the verify API once with a random token, and with `token`."""
    report = Report()
    _site(settings, report)
    _frame(settings, report)
    _certificate(settings, report)
    asyncio.run(_verify_api(settings, token, report))
    return report


async def _verify_api(settings: Settings, token: str | None, report: Report) -> None:
    try:
        async with make_verifier(
            settings.verify,
            settings.introspection,
            settings.jwt,
            session_expires=settings.session.expires,
        ) as verifier:
            if isinstance(verifier, JwtVerifier):
                await _keys(settings, verifier, report)
            else:
                await _random_token(settings, verifier, report)
            if token is not None:
                await _given_token(settings, verifier, token, report)
    except (OSError, ValueError) as error:
        report.problem(
            f"the certificates of [verify] cannot be used: {error}",
            "look at [verify] ca_file, client_certificate and client_key",
        )
    if token is None:
        report.note(
            "no good token was tried",
            "get one from the portal and run: gate check --token TOKEN",
        )


def _site(settings: Settings, report: Report) -> None:
    try:
        site = read_site(
            settings.site.root,
            public=settings.site.public,
            memory_bytes=settings.site.memory_mib * MIB,
        )
    except TreeProblem as problem:
        report.problem(str(problem), "build the site and name its folder in [site] root")
        return
    report.fine(f"site: {len(site)} paths in {site.root}")
    public = [path for path in site if (found := site.lookup(path)) and found.public]
    if public:
        report.note(
            f"anyone may read {len(public)} of them, {public[0]!r} among them",
            "look at [site] public if that is not meant",
        )


def _frame(settings: Settings, report: Report) -> None:
    origins = settings.frame.allowed_origins
    if origins:
        report.fine("frame: allowed are " + ", ".join(origins))
    else:
        report.note(
            "no portal may show the site in a frame",
            'name the portal in [frame] allowed_origins, as ["https://portal.example"]',
        )
    if not settings.server.public_url and not is_loopback(settings.server.host):
        report.note(
            "[server] public_url is empty",
            "set it to the https address that browsers see",
        )


def _certificate(settings: Settings, report: Report) -> None:
    try:
        served = server_tls(settings.server)
    except (OSError, ValueError) as error:
        report.problem(
            f"[server] tls_certificate cannot be used with tls_key: {error}",
            "both are PEM files, the key is not encrypted, and they belong together",
        )
        return
    if served is not None:
        report.fine(f"https: with the certificate in {settings.server.tls_certificate}")


async def _keys(settings: Settings, verifier: JwtVerifier, report: Report) -> None:
    place = settings.jwt.key_file or f"the JWKS {masked_url(settings.verify.url)}"
    try:
        found = await verifier.keys()
    except VerifyUnavailable as problem:
        report.problem(
            f"{place}: {problem}",
            "look at [verify] url: it must answer 200 with the issuer's public keys as a JWKS",
        )
        return
    report.fine(f"{place}: {len(found.keys)} usable keys")


async def _random_token(settings: Settings, verifier: Verifier, report: Report) -> None:
    shown = masked_url(settings.verify.url)
    try:
        verdict = await verifier.verify(tokens.Token(secrets.token_urlsafe(32)))
    except VerifyUnavailable as problem:
        report.problem(
            f"verify API {shown}: {problem}",
            "look at [verify] url and at the API's own log; it must answer 200 with true or false,"
            " or 401 or 403 for no",
        )
        return
    if verdict.active:
        report.problem(
            f"ALARM: the verify API {shown} says yes to a random token: everybody would get in",
            "mend the API, or point [verify] active at the field that holds the yes or no",
        )
    else:
        report.fine(f"verify API {shown}: says no to a random token")


async def _given_token(settings: Settings, verifier: Verifier, text: str, report: Report) -> None:
    token = tokens.parse(text)
    if token is None:
        report.problem(
            "the given token has characters that no bearer token may have, or is too long",
            f"tokens are at most {tokens.MAX_TOKEN_BYTES} letters, digits and -._~+/=",
        )
        return
    try:
        verdict = await verifier.verify(token)
    except VerifyUnavailable as problem:
        report.problem(f"the given token: {problem}", "look at the API's own log")
        return
    if verdict.subject is not None and token.text in verdict.subject:
        report.problem(
            "the verify API names the given token itself as its user",
            "point [verify] subject at the user's name, so that the log never has a token",
        )
    elif verdict.active:
        report.fine(f"the given token is good{_described(verdict)}")
    else:
        report.problem(
            "the verify API says no to the given token",
            "is it still good? does [verify] token_in send it where the API looks for it?",
        )
    _size(settings, token, report)


def _described(verdict: Verdict) -> str:
    who = f", for {verdict.subject!r}" if verdict.subject is not None else ""
    until = f", until Unix time {verdict.expires:.0f}" if verdict.expires is not None else ""
    return who + until


def _size(settings: Settings, token: tokens.Token, report: Report) -> None:
    seal = SessionSeal(settings.session, [secrets.token_bytes(32)], lambda: 0.0)
    if not seal.fits(seal.new(token, expires=None, subject=None)):
        report.problem(
            f"the given token has {len(token.text)} characters and does not fit into a cookie",
            "let the portal hand out shorter tokens, or set [session] recheck = false",
        )
