"""What kind of file a name stands for: media type, worth compressing, fingerprinted.

The table is our own, because the operating system's differs from machine to machine.
"""

import re

_TEXT = {
    "html": "text/html",
    "htm": "text/html",
    "css": "text/css",
    "js": "text/javascript",
    "mjs": "text/javascript",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "ics": "text/calendar",
    "vtt": "text/vtt",
    "xml": "application/xml",
    "xsl": "application/xml",
    "yaml": "application/yaml",
    "yml": "application/yaml",
    "toml": "application/toml",
}
# formats that carry or define their own encoding: no charset parameter (RFC 8259, RFC 3023)
_COMPRESSIBLE = {
    "json": "application/json",
    "map": "application/json",
    "webmanifest": "application/manifest+json",
    "svg": "image/svg+xml",
    "wasm": "application/wasm",
    "rss": "application/rss+xml",
    "atom": "application/atom+xml",
    "ttf": "font/ttf",
    "otf": "font/otf",
    "eot": "application/vnd.ms-fontobject",
    "ico": "image/vnd.microsoft.icon",
    "bmp": "image/bmp",
    "inv": "application/octet-stream",
}
_PACKED = {
    "png": "image/png",
    "apng": "image/apng",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "avif": "image/avif",
    "woff": "font/woff",
    "woff2": "font/woff2",
    "mp4": "video/mp4",
    "webm": "video/webm",
    "ogv": "video/ogg",
    "mp3": "audio/mpeg",
    "ogg": "audio/ogg",
    "wav": "audio/wav",
    "pdf": "application/pdf",
    "epub": "application/epub+zip",
    "zip": "application/zip",
    "gz": "application/gzip",
    "tgz": "application/gzip",
    "bz2": "application/x-bzip2",
    "xz": "application/x-xz",
    "zst": "application/zstd",
    "7z": "application/x-7z-compressed",
    "tar": "application/x-tar",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
}

PAGE_SUFFIXES = frozenset({"html", "htm"})

# bundle.79ae519e.min.js, index-1a2b3c4d.css: eight or more hexadecimal digits set off in the name
_FINGERPRINT = re.compile(r"[.\-_]([0-9a-f]{8,64})(?:\.min)?\.[a-z0-9]+$")


def suffix(name: str) -> str:
    """The last suffix in lower case, without its dot; "" without one."""
    stem, dot, last = name.rpartition(".")
    return last.lower() if stem and dot else ""


def media_type(name: str) -> str:
    """The Content-Type for a file name, with charset for text."""
    last = suffix(name)
    if last in _TEXT:
        return f"{_TEXT[last]}; charset=utf-8"
    return _COMPRESSIBLE.get(last) or _PACKED.get(last) or "application/octet-stream"


def is_page(name: str) -> bool:
    """Whether the file is an HTML document."""
    return suffix(name) in PAGE_SUFFIXES


def is_compressible(name: str) -> bool:
    """Whether compressing this kind of file usually pays."""
    last = suffix(name)
    return last in _TEXT or last in _COMPRESSIBLE


def is_fingerprinted(name: str) -> bool:
    """Whether the name carries a hash of the content, so that the content under it never changes.

    A run of digits alone is no hash: it may be a date.
    """
    found = _FINGERPRINT.search(name)
    if found is None or is_page(name):
        return False
    digits = found.group(1)
    return any(c.isdigit() for c in digits) and any(c.isalpha() for c in digits)
