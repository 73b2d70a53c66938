"""What Chromium 156 really sends when a page of the site is read in a frame: names, values and
order, without the cookie, which comes behind them. Taken down at a socket.
"""

HOST = "docs.example.com"

_START = {"Host": HOST, "Connection": "keep-alive"}
_BRAND = '"Not:A-Brand";v="8", "Chromium";v="156"'
_AGENT = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/156.0.0.0 Safari/537.36"
}
_END = {
    "Referer": f"https://{HOST}/",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Accept-Language": "en-US,en;q=0.9",
}

NAVIGATION = {
    **_START,
    "sec-ch-ua": _BRAND,
    "sec-ch-ua-mobile": "?0",
    "sec-ch-ua-platform": '"Linux"',
    "Upgrade-Insecure-Requests": "1",
    **_AGENT,
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/jxl,image/avif,"
    "image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7",
    "Sec-Fetch-Site": "same-origin",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Dest": "iframe",
    **_END,
}


def _part(accept: str, mode: str, dest: str) -> dict[str, str]:
    return {
        **_START,
        "sec-ch-ua-platform": '"Linux"',
        **_AGENT,
        "sec-ch-ua": _BRAND,
        "sec-ch-ua-mobile": "?0",
        "Accept": accept,
        "Sec-Fetch-Site": "same-origin",
        "Sec-Fetch-Mode": mode,
        "Sec-Fetch-Dest": dest,
        **_END,
    }


STYLESHEET = _part("text/css,*/*;q=0.1", "no-cors", "style")
SCRIPT = _part("*/*", "no-cors", "script")
IMAGE = _part(
    "image/jxl,image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8", "no-cors", "image"
)
FETCH = _part("*/*", "cors", "empty")
WORKER = {
    **_START,
    "Accept": "*/*",
    "Sec-Fetch-Site": "same-origin",
    "Sec-Fetch-Mode": "same-origin",
    "Sec-Fetch-Dest": "worker",
    "Referer": f"https://{HOST}/",
    **_AGENT,
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Accept-Language": "en-US,en;q=0.9",
}

PAGE = ("/", NAVIGATION)
"""Where it matters not which page is asked for."""
