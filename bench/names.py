"""What the contenders are called in tables."""

GATE = "the gate"
SLOW_DOOR = "the slow door"
BARE = "bare aiohttp"
NGINX = "nginx"
CADDY = "Caddy"
STRAIGHTFORWARD = "straightforward"
FLASK = "Flask"

TOLD = {
    GATE: "`gate serve` with the settings that it comes with, and a JSON line for each answer.",
    SLOW_DOOR: "The gate with `[server] fast_door = false`: aiohttp answers everything.",
    BARE: "An aiohttp `Application` that gives the gate's answers from a dict to everybody. It "
    "checks nothing and logs nothing: what aiohttp costs by itself.",
    NGINX: "`auth_request` with the verdicts cached, files compressed beforehand, a JSON line "
    "for each answer, and the gate's headers.",
    CADDY: "`forward_auth` and `file_server`, files compressed beforehand, a JSON line for each "
    "answer, and the gate's headers. Caddy has no cache for verdicts: it asks each time.",
    STRAIGHTFORWARD: "What aiohttp offers by itself: aiohttp-session's encrypted cookie, a dict "
    "for verdicts, `add_static`, the default access log.",
    FLASK: "A first sketch: Flask's signed cookie, a dict for verdicts, `send_from_directory`, "
    "under gunicorn with threads.",
}
