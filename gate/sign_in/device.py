"""The device authorization grant (RFC 8628): what it asks, and what its answers mean."""

from urllib.parse import urlsplit

from gate.config.sign_in import QrSettings
from gate.sign_in.asking import Api, Said, text_of
from gate.sign_in.progress import Answer, BadAnswer, Transaction, Unreachable, Word
from gate.verify.introspection import basic
from gate.verify.judge import is_time

GRANT = "urn:ietf:params:oauth:grant-type:device_code"

DEFAULT_INTERVAL = 5.0
"""Seconds, where the server does not say (RFC 8628, section 3.2)."""

_WORDS = {
    "authorization_pending": Word.PENDING,
    "slow_down": Word.SLOW_DOWN,
    "access_denied": Word.REFUSED,
    "expired_token": Word.EXPIRED,
}


class DeviceAuthorizer:
    """The endpoints of `[sign_in.qr]`. A client with a secret shows it by HTTP Basic."""

    def __init__(self, settings: QrSettings, api: Api) -> None:
        self._settings = settings
        self._api = api
        self._who = {"client_id": settings.client_id}
        self._headers: dict[str, str] = {}
        if secret := settings.client_secret.get_secret_value():
            self._headers["Authorization"] = basic(settings.client_id, secret)

    async def start(self, name: str) -> Transaction:
        """The device authorization request (section 3.1); nobody is asked for a name. Raises
        `Unreachable` or `BadAnswer`."""
        fields = dict(self._who)
        if self._settings.scope:
            fields["scope"] = self._settings.scope
        said = await self._api.post_form(self._settings.device_url, fields, **self._headers)
        if said.is_passing:
            raise Unreachable(f"the answer has status {said.status}")
        if said.status != 200 or not isinstance(said.document, dict):
            raise BadAnswer(f"the device authorization endpoint answers {said.status}{_why(said)}")
        return _transaction(said.document)

    async def poll(self, transaction: Transaction) -> Answer:
        """The device access token request (section 3.4). Raises `Unreachable` or `BadAnswer`."""
        fields = {"grant_type": GRANT, "device_code": transaction.secret, **self._who}
        said = await self._api.post_form(self._settings.token_url, fields, **self._headers)
        document = said.document if isinstance(said.document, dict) else {}
        if said.status == 200:
            kind = document.get("token_type", "bearer")
            if not isinstance(kind, str) or kind.lower() != "bearer":
                raise BadAnswer("the token is of a type that is not bearer")
            return Answer(Word.ACCEPTED, text_of(document.get("access_token"), "access_token"))
        error = document.get("error")
        if isinstance(error, str) and error in _WORDS:
            return Answer(_WORDS[error])
        if said.is_passing:
            raise Unreachable(f"the answer has status {said.status}")
        # section 3.5: any other error ends the asking
        raise BadAnswer(f"the token endpoint answers {said.status}{_why(said)}")


def _why(said: Said) -> str:
    """The standard's word for what is wrong with the gate's own set-up (RFC 6749, section 5.2)."""
    error = said.document.get("error") if isinstance(said.document, dict) else None
    known = ("invalid_client", "invalid_request", "invalid_scope", "invalid_grant")
    more = ("unauthorized_client", "unsupported_grant_type")
    return f" ({error})" if error in (*known, *more) else ""


def _transaction(document: dict[str, object]) -> Transaction:
    address = _web_address(document.get("verification_uri"))
    whole = document.get("verification_uri_complete")
    return Transaction(
        secret=text_of(document.get("device_code"), "device_code"),
        text=address if whole is None else _web_address(whole),
        user_code=text_of(document.get("user_code"), "user_code"),
        address=address,
        lifetime=_seconds(document, "expires_in"),
        interval=_seconds(document, "interval") or DEFAULT_INTERVAL,
    )


def _web_address(found: object) -> str:
    text = text_of(found, "verification_uri")
    if urlsplit(text).scheme not in ("https", "http") or not text.isprintable():
        raise BadAnswer("the verification_uri is no web address")
    return text


def _seconds(document: dict[str, object], name: str) -> float | None:
    found = document.get(name)
    if found is None:
        return None
    if not is_time(found) or found < 0:
        raise BadAnswer(f"{name} is no number of seconds")
    return float(found)
