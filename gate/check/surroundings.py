"""What lies on this machine: the site, who may frame it, and the gate's own certificate."""

from typing import Final

from gate.check.report import Diagnosis, Report
from gate.config.settings import ServerSettings, Settings
from gate.config.spelling import is_loopback
from gate.parts import MIB, site_policy
from gate.site.index import Site, read_site
from gate.site.policies import Policies
from gate.site.tree import TreeProblem
from gate.start import server_tls

SITE: Final = Diagnosis(
    "site-unusable", "{found}", "build the site and name its folder in [site] root"
)
PUBLIC: Final = Diagnosis(
    "anyone-may-read",
    "anyone may read {found}",
    "look at [site] public if that is not meant",
)
BLOCKED: Final = Diagnosis(
    "hosts-blocked",
    "pages load from hosts that [site] csp does not allow",
    "to allow them: {found}",
)
NO_FRAME: Final = Diagnosis(
    "nobody-may-frame",
    "no portal may show the site in a frame",
    'name the portal in [frame] allowed_origins, as ["https://portal.example"]',
)
NO_PUBLIC_URL: Final = Diagnosis(
    "no-public-url",
    "[server] public_url is empty",
    "set it to the https address that browsers see",
)
CERTIFICATE: Final = Diagnosis(
    "server-certificate-unusable",
    "[server] tls_certificate cannot be used with tls_key: {found}",
    "both are PEM files, the key is not encrypted, and they belong together",
)


def look_around(settings: Settings, report: Report) -> None:
    """Look at all of it. Nobody is asked."""
    _site(settings, report)
    _frame(settings, report)
    _certificate(settings.server, report)


def _site(settings: Settings, report: Report) -> None:
    try:
        site = read_site(
            settings.site.root,
            public=settings.site.public,
            memory_bytes=settings.site.memory_mib * MIB,
        )
    except TreeProblem as problem:
        report.problem(SITE.with_facts({"found": str(problem)}))
        return
    report.fine(f"site: {len(site)} paths in {site.root}")
    public = [path for path in site if (entry := site.lookup(path)) and entry.public]
    if public:
        told = f"{len(public)} of them, {public[0]!r} among them"
        report.note(PUBLIC.with_facts({"found": told}))
    _content_security(settings, site, report)


def _content_security(settings: Settings, site: Site, report: Report) -> None:
    survey = Policies(site, site_policy(settings)).survey()
    if survey is None:
        return
    scope = "one for all pages" if survey.one_for_all else "each page its own"
    report.fine(f"content security policy: {scope}, {survey.longest} bytes at most")
    if survey.blocked:
        report.note(BLOCKED.with_facts({"found": survey.advice}))


def _frame(settings: Settings, report: Report) -> None:
    if origins := settings.frame.allowed_origins:
        report.fine("frame: allowed are " + ", ".join(origins))
    else:
        report.note(NO_FRAME)
    if not settings.server.public_url and not is_loopback(settings.server.host):
        report.note(NO_PUBLIC_URL)


def _certificate(server: ServerSettings, report: Report) -> None:
    try:
        served = server_tls(server)
    except (OSError, ValueError) as error:
        report.problem(CERTIFICATE.with_facts({"found": str(error)}))
        return
    if served is not None:
        report.fine(f"https: with the certificate in {server.tls_certificate}")
