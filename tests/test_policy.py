"""What stands in a content security policy of the site."""

from typing import Any

import pytest

from gate.config.settings import SiteSettings
from gate.site.inline_scripts import Page, read_page
from gate.site.policy import Headers, SitePolicy

ANCESTORS = "frame-ancestors 'none'"
ENFORCED, REPORTED = "Content-Security-Policy", "Content-Security-Policy-Report-Only"


def policy_of(*, ancestors: str = ANCESTORS, own: str = "", **site: Any) -> SitePolicy:
    return SitePolicy(SiteSettings.model_validate(site), ancestors, own)


def directives(headers: Headers, name: str = ENFORCED) -> dict[str, list[str]]:
    """Of a header, as a browser reads it: the first of a name counts."""
    found: dict[str, list[str]] = {}
    for part in headers[name].split(";"):
        directive, *sources = part.split()
        assert directive not in found
        found[directive] = sources
    return found


def script_sources(headers: Headers) -> list[str]:
    return directives(headers)["script-src"]


A, B, HANDLER = (
    read_page(html.encode())
    for html in ("<script>a</script>", "<script>b</script>", "<p onclick='a()'>")
)
(HASH_A,), (HASH_B,), (HASH_HANDLER,) = A.scripts, B.scripts, HANDLER.handlers


def test_a_page_may_run_its_own_inline_scripts_and_no_others() -> None:
    found = directives(policy_of().page(A))
    assert found.pop("script-src") == ["'self'", HASH_A]
    assert found.pop("style-src") == ["'self'", "'unsafe-inline'"]
    assert found == {
        "default-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'", "data:"],
        "connect-src": ["'self'"],
        "worker-src": ["'self'"],
        "frame-src": ["'self'"],
        "object-src": ["'none'"],
        "base-uri": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }


def test_event_handlers_need_a_word_more_and_only_they_bring_it() -> None:
    assert script_sources(policy_of().page(HANDLER)) == ["'self'", "'unsafe-hashes'", HASH_HANDLER]
    assert "'unsafe-hashes'" not in script_sources(policy_of().page(A))


def test_sources_of_the_settings_are_added_once_each() -> None:
    policy = policy_of(
        csp_sources=[
            "script-src https://a.example 'wasm-unsafe-eval'",
            "script-src https://b.example https://a.example",
            "style-src 'self'",
            "object-src 'self'",
            "media-src https://m.example",
        ]
    )
    found = directives(policy.page(A))
    sources = ["'self'", "https://a.example", "'wasm-unsafe-eval'", "https://b.example", HASH_A]
    assert found["script-src"] == sources
    assert found["style-src"] == ["'self'", "'unsafe-inline'"]
    assert found["object-src"] == ["'self'"]
    assert found["media-src"] == ["'self'", "https://m.example"]


def test_a_second_policy_does_not_know_the_sources_of_the_first() -> None:
    policy_of(csp_sources=["img-src https://a.example"])
    assert "https://a.example" not in directives(policy_of().page(A))["img-src"]


def test_report_only_blocks_nothing_but_strange_frames() -> None:
    headers = policy_of(csp="report-only").page(A)
    assert headers[ENFORCED] == ANCESTORS
    assert directives(headers, REPORTED)["script-src"] == ["'self'", HASH_A]
    assert "frame-ancestors" not in headers[REPORTED]


@pytest.mark.parametrize("csp", ["off", "report-only"])
@pytest.mark.parametrize("media_type", ["image/svg+xml", "text/javascript", "application/xml"])
def test_files_are_strict_only_where_the_site_is(csp: str, media_type: str) -> None:
    assert policy_of(csp=csp).file(media_type) == {ENFORCED: ANCESTORS}


def test_with_csp_off_frames_are_still_kept_to_the_portals() -> None:
    assert policy_of(csp="off").page(A) == {ENFORCED: ANCESTORS}


@pytest.mark.parametrize(
    "media_type", ["image/svg+xml", "application/xml; charset=utf-8", "application/atom+xml"]
)
def test_xml_opened_by_itself_runs_nothing(media_type: str) -> None:
    found = directives(policy_of().file(media_type))
    assert found["default-src"] == ["'none'"]
    assert "script-src" not in found
    assert found["base-uri"] == found["form-action"] == ["'none'"]
    assert "sandbox" not in found, "it would be a stranger to its own site"
    assert found["frame-ancestors"] == ["'none'"]


def test_a_worker_may_do_what_its_page_may() -> None:
    policy = policy_of(csp_sources=["connect-src https://a.example"])
    headers = policy.file("text/javascript; charset=utf-8")
    assert headers == policy.page(Page())
    assert "https://a.example" in directives(headers)["connect-src"]


@pytest.mark.parametrize("media_type", ["application/pdf", "image/png", "text/css", "video/mp4"])
def test_what_can_run_nothing_is_kept_out_of_strange_frames_only(media_type: str) -> None:
    assert policy_of().file(media_type) == {ENFORCED: ANCESTORS}


@pytest.mark.parametrize(
    "source",
    ["https://c.example", "https:", "*", "c.example", "*.example", "http://c.example",
     "https://C.example/lib/", "https://c.example:*"],
)  # fmt: skip
def test_what_the_settings_let_load_is_not_called_blocked(source: str) -> None:
    pages = [read_page(b"<script src=https://c.example/a.js></script>")]
    assert policy_of(csp_sources=[f"script-src {source}"]).blocked(pages) == []


@pytest.mark.parametrize(
    "source",
    ["https://d.example", "http:", "*.c.example", "*.xample", "https://c.example:8443",
     "ws://c.example", "'self'", "data:"],
)  # fmt: skip
def test_what_they_do_not_let_load_is_named_as_it_has_to_be_set(source: str) -> None:
    pages = [read_page(b"<script src=//c.example/a></script><img src=https://own.example/x>")]
    entry = f"script-src {source}" if source != "data:" else "img-src data:"
    policy = policy_of(csp_sources=[entry], own="https://own.example")
    assert policy.blocked(pages) == ["script-src https://c.example"]
    named = policy_of(csp_sources=policy.blocked(pages), own="https://own.example")
    assert named.blocked(pages) == []


def test_nothing_is_blocked_with_csp_off() -> None:
    page = read_page(b"<script src=//c.example/a></script>")
    assert policy_of(csp="off").blocked([page]) == []
