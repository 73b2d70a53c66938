"""Token introspection (RFC 7662): the verify API's questions and answers as that standard has them.

The gate is a client of the endpoint and shows who it is; the token is asked about by form POST.
"""

import base64
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_plus

from pydantic import SecretStr

from gate.config.settings import IntrospectionSettings, VerifySettings
from gate.tokens import Token
from gate.verify.api import ApiVerifier, Question
from gate.verify.judge import Judge
from gate.verify.listener import NOBODY, Listener

_HINT = b"&token_type_hint=access_token"


class IntrospectionVerifier(ApiVerifier):
    """The verify API as an introspection endpoint."""

    def __init__(
        self,
        verify: VerifySettings,
        settings: IntrospectionSettings,
        *,
        session_expires: str = "",
        clock: Callable[[], float] = time.monotonic,
        listener: Listener = NOBODY,
    ) -> None:
        super().__init__(verify, session_expires=session_expires, clock=clock, listener=listener)
        self._judge = Judge(verify, session_expires, settings.scope)
        self._question = IntrospectionQuestion(verify, settings)


class IntrospectionQuestion(Question):
    """A question with the gate's credentials and, in a form, the hint at the token's type."""

    def __init__(self, verify: VerifySettings, settings: IntrospectionSettings) -> None:
        headers = {**verify.headers, **credentials(settings)}
        super().__init__(verify.model_copy(update={"headers": headers}))
        self._in_form = verify.token_in == "form"

    def __call__(self, token: Token) -> dict[str, Any]:
        question = super().__call__(token)
        if self._in_form:
            question["data"] += _HINT
        return question


def credentials(settings: IntrospectionSettings) -> dict[str, SecretStr]:
    """The Authorization header; empty where the client is known otherwise, by its certificate or
    by a header of `[verify]`."""
    if bearer := settings.bearer.get_secret_value():
        return {"Authorization": SecretStr(f"Bearer {bearer}")}
    if not settings.client_id:
        return {}
    secret = settings.client_secret.get_secret_value()
    return {"Authorization": SecretStr(basic(settings.client_id, secret))}


def basic(client_id: str, secret: str) -> str:
    """An OAuth client's credentials as the value of an Authorization header."""
    # each is form-encoded before they are joined (RFC 6749, 2.3.1): a colon may be in either
    joined = ":".join(quote_plus(text, safe="") for text in (client_id, secret))
    return f"Basic {base64.b64encode(joined.encode()).decode()}"
