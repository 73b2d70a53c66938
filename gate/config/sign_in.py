"""The settings of signing in without a portal, `[sign_in]` and `[sign_in.qr]`. Times: seconds."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr

from gate.config.rules import RuleText
from gate.config.section import Section
from gate.config.spelling import Headers, ListOf, Parameter, PathOrNone, Pointer, Scope, Seconds
from gate.config.urls import HttpUrl


def _no_braces_in_host(url: str) -> str:
    """`{path}` and `{id}` stand for what is not ours: never for a part of the host."""
    if "{" in url.partition("://")[2].replace("?", "/").partition("/")[0]:
        raise ValueError("must not have braces in its host")
    return url


FilledUrl = Annotated[HttpUrl, AfterValidator(_no_braces_in_host)]
Method = Literal["GET", "POST"]


class QrSettings(Section):
    """The QR code: by RFC 8628 ("device"), or by an API that is described here ("custom")."""

    preset: Literal["", "device", "custom"] = ""
    client_id: str = ""
    client_secret: SecretStr = SecretStr("")
    scope: Scope = ""
    device_url: HttpUrl = ""
    token_url: HttpUrl = ""
    start_url: FilledUrl = ""
    start_method: Method = "POST"
    poll_url: FilledUrl = ""
    poll_method: Method = "GET"
    poll_field: Parameter = ""
    transaction_pointer: Pointer = ""
    text_pointer: Pointer = ""
    result_pointer: Pointer = ""
    pending: ListOf[RuleText] = ()
    accepted: ListOf[RuleText] = ()
    refused: ListOf[RuleText] = ()
    ask_name: bool = False
    name_field: Parameter = "name"
    headers: Headers = Field(default_factory=dict)
    poll_interval: Annotated[float, Field(ge=1, le=60, allow_inf_nan=False)] = 5.0
    connect_timeout: Seconds = 1.0
    timeout: Seconds = 5.0
    ca_file: PathOrNone = None
    client_certificate: PathOrNone = None
    client_key: PathOrNone = None
    proxy: HttpUrl = ""
    max_flows: Annotated[int, Field(ge=1, le=100_000)] = 1000
    max_flows_per_address: Annotated[int, Field(ge=1, le=100_000)] = 10
    flow_lifetime: Annotated[float, Field(ge=10, le=3600, allow_inf_nan=False)] = 300.0


class SignInSettings(Section):
    """The ways in that the sign-in page offers. "" as `portal_url` offers no portal."""

    portal_url: FilledUrl = ""
    qr: QrSettings = QrSettings()

    def __bool__(self) -> bool:
        """Whether anything is offered."""
        return bool(self.portal_url or self.qr.preset)
