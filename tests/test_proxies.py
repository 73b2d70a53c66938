"""Forwarded headers: believed from trusted proxies only, and read from the right."""

from ipaddress import ip_network

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from gate.proxies import Asker, Proxies, is_host

PROXY = "10.0.0.1"
TRUSTED = Proxies([ip_network("10.0.0.0/8"), ip_network("fd00::/8")])


def asked(*headers: tuple[str, str], peer: str = PROXY, proxies: Proxies = TRUSTED) -> Asker:
    named = CIMultiDictProxy(CIMultiDict([("Host", "gate:8080"), *headers]))
    return proxies.asker(peer, named, scheme="http")


FORGED = [
    [("X-Forwarded-For", "1.2.3.4"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "evil")],
    [("Forwarded", "for=1.2.3.4;proto=https;host=evil")],
]


@pytest.mark.parametrize("headers", FORGED)
@pytest.mark.parametrize(
    ("peer", "proxies"),
    [("192.0.2.9", TRUSTED), (PROXY, Proxies([])), ("", TRUSTED), ("/run/gate.sock", TRUSTED)],
)
def test_strangers_state_nothing(
    peer: str, proxies: Proxies, headers: list[tuple[str, str]]
) -> None:
    assert asked(*headers, peer=peer, proxies=proxies) == Asker(
        peer, "http", "gate:8080", trusted=False
    )


@pytest.mark.parametrize(
    ("stated", "address"),
    [
        ("1.2.3.4", "1.2.3.4"),
        ("6.6.6.6, 1.2.3.4", "1.2.3.4"),
        ("6.6.6.6, 1.2.3.4, 10.9.9.9", "1.2.3.4"),
        ("10.1.1.1, 10.9.9.9", "10.1.1.1"),
        ("1.2.3.4:5678", "1.2.3.4"),
        ("2001:db8::7", "2001:db8::7"),
        ("[2001:db8::7]:443", "2001:db8::7"),
        ("6.6.6.6, fd00::2", "6.6.6.6"),
        ("6.6.6.6, ::ffff:10.0.0.2", "6.6.6.6"),
        # what is no address ends the chain at the one who wrote it
        ("6.6.6.6, unknown", PROXY),
        ("6.6.6.6, 1.2.3.4<script>", PROXY),
        ("6.6.6.6, unknown, 10.9.9.9", "10.9.9.9"),
        ("", PROXY),
        (" , ,", PROXY),
    ],
)
def test_the_client_is_the_first_untrusted_address_from_the_right(
    stated: str, address: str
) -> None:
    assert asked(("X-Forwarded-For", stated)).address == address
    elements = (f'for="{node.strip()}"' for node in stated.split(",") if node.strip())
    assert asked(("Forwarded", ", ".join(elements))).address == address


def test_lists_go_on_over_several_lines() -> None:
    lines = ("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-For", "1.2.3.4")
    assert asked(*lines).address == "1.2.3.4"


@pytest.mark.parametrize(
    ("headers", "scheme", "host"),
    [
        (
            [("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "docs.example")],
            "https",
            "docs.example",
        ),
        ([("X-Forwarded-Proto", "HTTPS")], "https", "gate:8080"),
        ([("X-Forwarded-Proto", "http, https")], "https", "gate:8080"),
        ([("X-Forwarded-Host", "evil, docs.example:8443")], "http", "docs.example:8443"),
        ([("X-Forwarded-Proto", "javascript")], "http", "gate:8080"),
        ([("X-Forwarded-Host", "docs.example/path")], "http", "gate:8080"),
        ([("X-Forwarded-Host", "user@docs.example")], "http", "gate:8080"),
        ([("Forwarded", "for=1.1.1.1;proto=https;host=docs.example")], "https", "docs.example"),
        ([("Forwarded", 'Host="docs.example:443" ; Proto=https')], "https", "docs.example:443"),
        ([("Forwarded", "proto=https;host=evil, for=1.1.1.1")], "http", "gate:8080"),
        (
            [("Forwarded", "nonsense"), ("Forwarded", "for=1.1.1.1;host=docs.example")],
            "http",
            "docs.example",
        ),
        ([("Forwarded", "host=evil;proto=https, =;;=")], "http", "gate:8080"),
    ],
)
def test_scheme_and_host_are_the_nearest_proxys_word(
    headers: list[tuple[str, str]], scheme: str, host: str
) -> None:
    found = asked(*headers)
    assert (found.scheme, found.host, found.trusted) == (scheme, host, True)


def test_an_open_quote_of_the_client_swallows_nothing_of_the_proxys() -> None:
    found = asked(("Forwarded", 'for=6.6.6.6;host="evil, for=1.2.3.4;host=docs.example'))
    assert (found.address, found.host) == ("1.2.3.4", "docs.example")


def test_separators_inside_quotes_do_not_count() -> None:
    found = asked(("Forwarded", 'for=6.6.6.6;by="a,b;c", for=1.2.3.4;by="x;y,z";proto=https'))
    assert (found.address, found.scheme) == ("1.2.3.4", "https")


def test_a_forwarded_header_that_the_proxy_handed_on_does_not_beat_its_own() -> None:
    found = asked(
        ("Forwarded", "for=6.6.6.6;host=evil;proto=https"), ("X-Forwarded-For", "1.2.3.4")
    )
    assert (found.address, found.scheme, found.host) == ("1.2.3.4", "http", "gate:8080")


@pytest.mark.parametrize(
    "text",
    [
        "docs.example",
        "docs.example:8443",
        "127.0.0.1:80",
        "[::1]",
        "[2001:db8::1]:443",
        "a_b",
        "h:",
    ],
)
def test_hosts_are_names_or_addresses_with_or_without_a_port(text: str) -> None:
    assert is_host(text)


@pytest.mark.parametrize(
    "text",
    ["", ":80", "a b", "a/b", "user@a", "a,b", "a:b", "a:123456", "[::1", "::1", "ä", "a\n", "a?b"],
)
def test_what_is_no_host_is_none(text: str) -> None:
    assert not is_host(text)
