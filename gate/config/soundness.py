"""Whether settings that are well-formed one by one also make sense together and on this machine.

Looks at files and folders, and writes nothing.
"""

import os
import socket
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from gate.config.findings import Finding, file_problem, open_to_all, reason
from gate.config.preset_soundness import preset_findings
from gate.config.settings import SessionSettings, Settings
from gate.config.sign_in_soundness import sign_in_findings
from gate.config.spelling import key_problem


def findings(settings: Settings, *, disk: bool) -> Iterator[Finding]:
    """Everything that is wrong between keys and, with `disk`, on disk; no text holds a secret."""
    yield from _conflicts(settings)
    yield from preset_findings(settings)
    yield from sign_in_findings(settings, disk=disk)
    if disk:
        yield from _on_disk(settings)


def _conflicts(settings: Settings) -> Iterator[Finding]:
    """Keys that contradict each other."""
    server, verify, intake = settings.server, settings.verify, settings.intake
    if verify.token_in in ("form", "json") and verify.method != "POST":
        what = f'"{verify.token_in}" needs a request with a body; set method = "POST"'
        yield what, "verify.token_in", "verify.method"
    taken = verify.token_name.lower() in (name.lower() for name in verify.headers)
    if verify.token_in == "header" and taken:
        what = "has the header that is to carry the token; remove it, or change token_name"
        yield what, "verify.headers", "verify.token_in", "verify.token_name"
    if verify.client_key and not verify.client_certificate:
        what = "is no use without client_certificate; set both"
        yield what, "verify.client_key", "verify.client_certificate"
    if bool(server.tls_certificate) != bool(server.tls_key):
        names = ("server.tls_certificate", "server.tls_key")
        what = "is no use alone: set both tls_certificate and tls_key, or none"
        yield what, *(names if server.tls_certificate else reversed(names))
    if server.workers > 1 and not hasattr(os, "fork"):
        yield "more than one worker needs Linux, macOS or another Unix; use 1", "server.workers"
    if server.socket is not None and not hasattr(socket, "AF_UNIX"):
        yield "needs Linux, macOS or another Unix; use a port", "server.socket"
    if server.socket is not None and server.tls_certificate:
        what = "is for a proxy that speaks https itself; remove it, or tls_certificate and tls_key"
        yield what, "server.socket", "server.tls_certificate"
    if settings.cache.shared_url and not settings.session.keys:
        what = "must hold a key where cache.shared_url is set; `gate new-key` prints one"
        yield what, "session.keys", "cache.shared_url"
    if settings.cache.shared_url and find_spec("redis") is None:
        what = 'needs a package that is not installed: pip install "docs-gate[redis]"'
        yield what, "cache.shared_url"
    if settings.tracing.enabled and not _can_send_spans():
        what = 'needs a package that is not installed: pip install "docs-gate[otel]"'
        yield what, "tracing.enabled"
    if settings.metrics.port and settings.metrics.port == server.port:
        what = "is the port of the site; name another, or set metrics.secret and no port"
        yield what, "metrics.port", "server.port"
    if settings.site.csp == "off" and settings.site.csp_sources:
        what = 'has no meaning with csp = "off"; remove it, or turn csp on'
        yield what, "site.csp_sources", "site.csp"
    if not (intake.query or intake.form or intake.bearer):
        what = "is off, and so are form and bearer: nobody could bring a token; turn one on"
        yield what, "intake.query", "intake.form", "intake.bearer"


def _can_send_spans() -> bool:
    try:
        return find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    except ModuleNotFoundError:  # not even what it lies in
        return False


def _on_disk(settings: Settings) -> Iterator[Finding]:
    """What the settings point at and is missing, unreadable or of the wrong kind."""
    for what in _site_problems(settings.site.root):
        yield what, "site.root"
    server, verify = settings.server, settings.verify
    files = {
        "server.tls_certificate": server.tls_certificate,
        "server.tls_key": server.tls_key,
        "verify.ca_file": verify.ca_file,
        "verify.client_certificate": verify.client_certificate,
        "verify.client_key": verify.client_key,
    }
    for name, file in files.items():
        if file and (problem := file_problem(file)):
            yield f'"{file}" {problem}', name
    if os.path.lexists(server.state_dir) and not os.path.isdir(server.state_dir):
        yield f'"{server.state_dir}" is no folder; name another', "server.state_dir"
    else:
        yield from _key_findings(settings.session, server.state_dir)


def _key_findings(session: SessionSettings, state_dir: Path) -> Iterator[Finding]:
    made = state_dir / "session.key"
    if session.key_file:
        # Its path is not repeated: it may be the key itself, put into the wrong setting.
        for what in _key_file_problems(session.key_file):
            yield what, "session.key_file"
    elif not session.keys and os.path.lexists(made):
        for what in _key_file_problems(made):
            yield f'"{made}" {what}', "session.key_file", "session.keys", "server.state_dir"
    elif not session.keys and not _can_be_written(state_dir):
        what = f'"{state_dir}" cannot be written, and the session key is to be kept there'
        yield f"{what}; make it writable, or set session.keys", "server.state_dir", "session.keys"


def _site_problems(root: Path) -> Iterator[str]:
    try:
        entries = os.listdir(root)
    except OSError as error:
        yield f'"{root}" cannot be read ({reason(error)}); name the folder of the built site'
        return
    if "-" in entries:
        yield f'"{root}" has an entry named "-", where the gate has its own pages; rename it'
    if "index.html" not in entries:
        yield f'"{root}" has no index.html; build the site, or name the folder that holds it'
    elif problem := file_problem(root / "index.html"):
        yield f'"{root}": its index.html {problem}'


def _key_file_problems(file: Path) -> Iterator[str]:
    if problem := file_problem(file):
        yield problem
        return
    if problem := open_to_all(file):
        yield problem
    lines = [line.strip() for line in file.read_text("utf-8", "replace").split("\n")]
    keys = {n: line for n, line in enumerate(lines, 1) if line and not line.startswith("#")}
    if not keys:
        yield "holds no key; `gate new-key` prints one"
    for number, key in keys.items():
        if problem := key_problem(key):
            yield f"has a bad key at line {number}: {problem}"


def _can_be_written(folder: Path) -> bool:
    there = next(parent for parent in (folder, *folder.parents) if os.path.lexists(parent))
    return os.access(there, os.W_OK | os.X_OK)
