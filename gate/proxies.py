"""Who really asks, and by which address: forwarded headers, believed only from trusted proxies.

Lists of forwarders are read from the right, because only what the last trusted proxy wrote is
known to be true; everything further left may be the client's invention. Where both kinds of header
come, X-Forwarded-* is believed: nearly every proxy writes it, and hands on a client's Forwarded.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import NamedTuple

from multidict import CIMultiDictProxy

Network = IPv4Network | IPv6Network
Headers = CIMultiDictProxy[str]

_HOST = re.compile(r"(?:[A-Za-z0-9._\-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")
# what stands between separators, which do not count inside quotes; elements are found in the text
# reversed, so that a quote which a client left open cannot swallow what the proxy wrote behind it
_ELEMENTS = re.compile(r'(?:[^,"]|"[^"]*(?:"|$))+')
_PARAMETERS = re.compile(r'(?:[^;"]|"(?:[^"\\]|\\.)*(?:"|$))+')
_PAIR = re.compile(r'\s*([A-Za-z]+)=(?:"((?:[^"\\]|\\.)*)"|([^;,"\s]*))\s*')


class Asker(NamedTuple):
    """A client as the trusted proxies state it."""

    address: str
    scheme: str
    host: str
    trusted: bool
    """Whether the connection itself came from a trusted proxy."""


@lru_cache(maxsize=1024)
def is_host(text: str) -> bool:
    """Whether a Host header names a host, with or without a port (RFC 9112, section 3.2)."""
    return _HOST.fullmatch(text) is not None


class Proxies:
    """The networks whose forwarded headers are believed. `on_socket` is for a gate that listens on
    a socket in the file system: whoever may connect to it is a proxy, and has no address."""

    def __init__(self, networks: Sequence[Network], *, on_socket: bool = False) -> None:
        self._networks = tuple(networks)
        self._on_socket = on_socket

    def __bool__(self) -> bool:
        return bool(self._networks) or self._on_socket

    def trusts(self, address: str) -> bool:
        """Whether an address belongs to a trusted proxy; False for what is no address."""
        known = _address(address)
        return known is not None and any(known in network for network in self._networks)

    def asker(self, peer: str, headers: Headers, *, scheme: str) -> Asker:
        """Who asks, given the connection's peer and the scheme it came by."""
        host = headers.get("Host", "")
        if not (self._on_socket and not peer) and not self.trusts(peer):
            return Asker(peer, scheme, host, trusted=False)
        hops = _x_forwarded(headers) or _forwarded(headers)
        address = peer
        for hop in hops:
            stated_address = _bare(hop.get("for", ""))
            address = stated_address or address
            if not stated_address or not self.trusts(stated_address):
                break
        nearest = hops[0] if hops else {}
        proto, stated = nearest.get("proto", "").lower(), nearest.get("host", "")
        return Asker(
            address,
            proto if proto in ("http", "https") else scheme,
            stated if is_host(stated) else host,
            trusted=True,
        )


def _forwarded(headers: Headers) -> list[dict[str, str]]:
    """The elements of Forwarded (RFC 7239), nearest first."""
    hops = []
    for reverse in _ELEMENTS.findall(",".join(headers.getall("Forwarded", ()))[::-1]):
        pairs = (_PAIR.fullmatch(pair) for pair in _PARAMETERS.findall(reverse[::-1]))
        hop = {pair[1].lower(): pair[2] or pair[3] or "" for pair in pairs if pair is not None}
        hops.append(hop)
    return hops


def _x_forwarded(headers: Headers) -> list[dict[str, str]]:
    """The X-Forwarded headers in the same form; proto and host are the nearest proxy's word."""
    hops = [{"for": value} for value in reversed(_values(headers, "X-Forwarded-For"))]
    nearest = hops[0] if hops else {}
    for name, key in (("X-Forwarded-Proto", "proto"), ("X-Forwarded-Host", "host")):
        stated = _values(headers, name)
        if stated:
            nearest[key] = stated[-1]
    return hops or ([nearest] if nearest else [])


def _values(headers: Headers, name: str) -> list[str]:
    joined = ",".join(headers.getall(name, ()))
    return [value.strip() for value in joined.split(",") if value.strip()]


def _bare(node: str) -> str:
    """An address without port and brackets; "" for what is no address."""
    text = node.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    return text if _address(text) else ""


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
