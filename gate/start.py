"""Opens what a start needs, and finds everything that is wrong before anything listens."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from gate.brand import BrandProblem, open_brand
from gate.certificates import load
from gate.config.settings import ServerSettings, Settings
from gate.parts import State, open_site
from gate.site.haste import Haste
from gate.site.tree import TreeProblem
from gate.state.journal import Journal, JournalProblem
from gate.state.keys import KeyProblem, open_keys
from gate.state.revocations import Revocations
from gate.verify.client import tls_context

REVOCATIONS_FILE = "revocations"

T = TypeVar("T")


class StartProblem(Exception):
    """The gate cannot start with these settings: every problem found, one a line."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a start opened."""

    settings: Settings
    state: State
    tls: ssl.SSLContext | None


def prepare(settings: Settings) -> Prepared:
    """Read the site, open keys and revocations, load certificates. Raises `StartProblem`."""
    problems: list[str] = []

    def attempt(place: str, make: Callable[[], T], *failures: type[Exception]) -> T | None:
        try:
            return make()
        except failures as problem:
            problems.append(f"{place}: {problem}")
            return None

    server, session = settings.server, settings.session
    site = attempt("[site] root", lambda: open_site(settings.site, at_once=Haste()), TreeProblem)
    keys_place = "[session] key_file" if session.key_file else "[server] state_dir"
    keys = attempt(keys_place, lambda: open_keys(session, server.state_dir), KeyProblem)
    certificate = "[server] tls_certificate: cannot be used with tls_key"
    tls = attempt(certificate, lambda: server_tls(server), OSError, ValueError)
    trust = "[verify] ca_file or client_certificate: cannot be used"
    attempt(trust, lambda: tls_context(settings.verify), OSError, ValueError)
    attempt("[brand] logo", lambda: open_brand(settings.brand), BrandProblem)
    trust = "[sign_in.qr] ca_file or client_certificate: cannot be used"
    if settings.sign_in.qr.preset:
        attempt(trust, lambda: tls_context(settings.sign_in.qr), OSError, ValueError)
    if problems:  # nothing is written by a start that fails
        raise StartProblem(problems)
    revocations = attempt("[server] state_dir", lambda: _revocations(settings), JournalProblem)
    if site is None or keys is None or revocations is None:
        raise StartProblem(problems)
    return Prepared(settings, State(site, keys, revocations), tls)


def _revocations(settings: Settings) -> Revocations:
    journal = Journal(settings.server.state_dir / REVOCATIONS_FILE)
    return Revocations(journal, lifetime=settings.session.lifetime)


def server_tls(server: ServerSettings) -> ssl.SSLContext | None:
    """How to serve https; None for http. Raises OSError or ValueError for unusable files."""
    if server.tls_certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    load(server, context)
    return context
