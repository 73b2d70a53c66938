"""Whether `[sign_in.qr]` makes sense as a whole. Writes nothing."""

from collections.abc import Iterator

from gate.config.findings import Finding, file_problem
from gate.config.settings import Settings
from gate.config.sign_in import QrSettings

_NEEDED = {
    "device": ("client_id", "device_url", "token_url"),
    "custom": ("start_url", "poll_url", "text_pointer", "pending", "accepted"),
}
_MAY = {
    "device": ("client_secret", "scope"),
    "custom": (
        "start_method",
        "poll_method",
        "poll_field",
        "transaction_pointer",
        "result_pointer",
        "refused",
        "ask_name",
        "name_field",
    ),
}
_SECTION = "sign_in.qr"


def sign_in_findings(settings: Settings, *, disk: bool) -> Iterator[Finding]:
    """Everything that is wrong with the section, and with `disk` the files that it names."""
    qr = settings.sign_in.qr
    yield from _unused(qr)
    if settings.frame.only and settings.sign_in:
        what = "is no use where [frame] only = true shows no page in a window; remove one"
        name = "sign_in.portal_url" if settings.sign_in.portal_url else _key("preset")
        yield what, name, "frame.only"
    for key in _NEEDED.get(qr.preset, ()):
        if not getattr(qr, key):
            yield f'is required with preset = "{qr.preset}"', _key(key), _key("preset")
    if qr.preset == "custom":
        yield from _custom(qr)
    if qr.client_key and not qr.client_certificate:
        what = "is no use without client_certificate; set both"
        yield what, _key("client_key"), _key("client_certificate")
    for key in ("ca_file", "client_certificate", "client_key") if disk else ():
        file = getattr(qr, key)
        if file and (problem := file_problem(file)):
            yield f'"{file}" {problem}', _key(key)


def _unused(qr: QrSettings) -> Iterator[Finding]:
    for preset, keys in _NEEDED.items():
        for key in (*keys, *_MAY[preset]) if preset != qr.preset else ():
            if getattr(qr, key) != QrSettings.model_fields[key].default:
                what = f'has a meaning with preset = "{preset}" alone; set that, or remove it'
                yield what, _key(key), _key("preset")


def _custom(qr: QrSettings) -> Iterator[Finding]:
    if "{id}" in qr.start_url:
        if qr.transaction_pointer:
            what = "has no meaning where start_url has {id}, which the gate makes; remove one"
            yield what, _key("transaction_pointer"), _key("start_url")
    elif not qr.transaction_pointer:
        what = "is required, unless start_url has {id}"
        yield what, _key("transaction_pointer"), _key("start_url")
    if bool(qr.poll_field) == ("{id}" in qr.poll_url):
        what = "must have {id} where the transaction id goes, or poll_field must name its place"
        yield what, _key("poll_url"), _key("poll_field")


def _key(name: str) -> str:
    return f"{_SECTION}.{name}"
