"""What every section of the settings is made of, and how its values and errors are shown."""

import re
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, SecretStr
from pydantic_core import ErrorDetails

from gate.config.spelling import MASK, URL_WITH_SECRET, masked_url

_SAID: Final = {  # pydantic's error types in plain words; its other messages will do
    "string_type": "must be a text in quotes",
    "int_type": "must be a whole number, without quotes",
    "float_type": "must be a number, without quotes",
    "bool_type": "must be true or false, without quotes",
    "tuple_type": 'must be a list, as ["…", "…"]',
    "too_short": "must not be empty",
    "dict_type": 'must be a table of texts, as { "X-Name" = "…" }',
}


class Section(BaseModel):
    """What all sections of config.toml are: frozen, strict, and silent about secrets."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, hide_input_in_errors=True
    )

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        return shown_section(self).items()


def shown_section(section: BaseModel) -> dict[str, object]:
    """Its settings by key, for display: secrets and URL userinfo are masked."""
    fields = type(section).model_fields
    shown = {name: _plain(getattr(section, name)) for name in fields}
    urls = (name for name, field in fields.items() if URL_WITH_SECRET in field.metadata)
    return shown | {name: masked_url(getattr(section, name)) for name in urls}


def _plain(value: object) -> object:
    match value:
        case BaseModel():
            return shown_section(value)
        case SecretStr():
            return MASK if value.get_secret_value() else ""
        case tuple():
            return [_plain(item) for item in value]
        case dict():
            return {name: _plain(item) for name, item in value.items()}
        case IPv4Network() | IPv6Network() if value.prefixlen == value.max_prefixlen:
            return str(value.network_address)
        case Path() | IPv4Network() | IPv6Network():
            return str(value)
    return "" if value is None else value


def said(detail: ErrorDetails) -> str:
    """A pydantic error in words: which entry of a list or table it is, and never the value."""
    what = _SAID.get(detail["type"], detail["msg"].replace("Input should be", "must be"))
    what = str(detail.get("ctx", {}).get("error", what))
    match detail["loc"][1:]:
        case [int(index), *_]:
            return f"entry {index + 1} {what}"
        case [str(name)] if re.fullmatch(r"[\w-]+", name):
            return f'"{name}" {what}'
        case [_, *key]:
            return f"one of its {'names' if key else 'values'} {what}"
    return what
