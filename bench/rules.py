"""What both first versions keep to: the headers, and how long a verdict is remembered."""

TTL = 300.0
"""Seconds."""

HEADERS = {
    "Content-Security-Policy": "frame-ancestors https://portal.example.com 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Strict-Transport-Security": "max-age=31536000",
    "Cache-Control": "private, no-cache",
}
