"""`[sign_in]`: a section inside another, and what its keys mean together."""

from pathlib import Path

import pytest

from gate.config.load import ConfigError, load
from gate.config.settings import Settings, shown

VERIFY = '[verify]\nurl = "http://localhost/"\n'
DEVICE: dict[str, object] = {
    "preset": "device",
    "client_id": "docs",
    "device_url": "https://h/d",
    "token_url": "https://h/t",
}
CUSTOM: dict[str, object] = {
    "preset": "custom",
    "start_url": "https://h/s",
    "poll_url": "https://h/p/{id}",
    "transaction_pointer": "/id",
    "text_pointer": "/uri",
    "pending": ["status 404"],
    "accepted": ["/ok = true"],
}
DEVICE_FILE = "\n".join(f'{key} = "{value}"' for key, value in DEVICE.items())


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "site").mkdir()
    (tmp_path / "site/index.html").touch()
    return tmp_path


def read(text: str, **environ: str) -> Settings:
    Path("config.toml").write_text(VERIFY + text, "utf-8")
    return load(None, {"GATE_SECRETS_DIR": "none", **environ})


def problems(text: str, **environ: str) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        read(text, **environ)
    return {problem.where: problem.what for problem in caught.value.problems}


def given(keys: dict[str, object], **more: object) -> str:
    lines = [f"{key} = {_toml(value)}" for key, value in {**keys, **more}.items()]
    return "[sign_in.qr]\n" + "\n".join(lines)


def _toml(value: object) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(f"'{each}'" for each in value) + "]"
    return str(value).lower() if isinstance(value, bool) else f"'{value}'"


def test_the_file_has_a_section_inside_a_section() -> None:
    settings = read(f'[sign_in]\nportal_url = "https://p/{{path}}"\n[sign_in.qr]\n{DEVICE_FILE}')
    assert settings.sign_in.portal_url == "https://p/{path}"
    assert settings.sign_in.qr.preset == "device"
    inner = shown(settings)["sign_in"]["qr"]
    assert isinstance(inner, dict)
    assert inner["client_id"] == "docs"


def test_a_variable_has_two_underscores_for_the_dot_and_wins() -> None:
    settings = read(
        f"[sign_in.qr]\n{DEVICE_FILE}",
        GATE_SIGN_IN__QR__CLIENT_ID="other",
        GATE_SIGN_IN__PORTAL_URL="https://p/",
    )
    assert (settings.sign_in.qr.client_id, settings.sign_in.portal_url) == ("other", "https://p/")


def test_a_secret_is_masked_and_files_start_at_the_folder(folder: Path) -> None:
    (folder / "ca.pem").touch()
    settings = read(given(DEVICE, client_secret="s3cret", ca_file="ca.pem"))
    assert "s3cret" not in repr(settings)
    assert "s3cret" not in repr(shown(settings))
    assert settings.sign_in.qr.ca_file == folder / "ca.pem"


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("[sign_in]\nqr = 1", "config.toml: sign_in.qr", "must be a section, [sign_in.qr]"),
        ("[sign_in]\nportal = 1", "config.toml: [sign_in] portal", "unknown key"),
        ("[sign_in.qr]\nprest = ''", "config.toml: [sign_in.qr] prest", "[sign_in.qr] preset"),
        ("[sign_in.q]\nx = 1", "config.toml: [sign_in] q", "unknown key"),
        ("sign_in = 1", None, None),
        ("[sign_in]\nportal_url = 'https://{path}/'", "config.toml: [sign_in] portal_url", "host"),
        ("[sign_in]\nportal_url = 'javascript:x'", "config.toml: [sign_in] portal_url", "http"),
        ("[sign_in.qr]\npreset = 'x'", "config.toml: [sign_in.qr] preset", "must be"),
        (given(CUSTOM, pending=["x"]), "config.toml: [sign_in.qr] pending", "entry 1 must be"),
        (given(DEVICE, start_url="https://h/"), "config.toml: [sign_in.qr] start_url", '"custom"'),
        (given(CUSTOM, client_id="x"), "config.toml: [sign_in.qr] client_id", '"device"'),
        ("[sign_in.qr]\nscope = 'x'", "config.toml: [sign_in.qr] scope", '"device"'),
        (given(CUSTOM, poll_url="https://h/"), "config.toml: [sign_in.qr] poll_url", "{id}"),
        (given(CUSTOM, poll_field="id"), "config.toml: [sign_in.qr] poll_url", "poll_field"),
        (
            given(CUSTOM, start_url="https://h/{id}"),
            "config.toml: [sign_in.qr] transaction_pointer",
            "the gate makes",
        ),
        (
            given(CUSTOM, transaction_pointer=""),
            "config.toml: [sign_in.qr] transaction_pointer",
            "is required",
        ),
        (
            given(DEVICE) + "\n[frame]\nonly = true",
            "config.toml: [sign_in.qr] preset",
            "[frame] only",
        ),
        (given(DEVICE, ca_file="none.pem"), "config.toml: [sign_in.qr] ca_file", "cannot be read"),
        (
            given(DEVICE, client_key="config.toml"),
            "config.toml: [sign_in.qr] client_key",
            "client_certificate",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_place(
    text: str, where: str | None, what: str | None
) -> None:
    if where is None or what is None:
        Path("config.toml").write_text(f"{text}\n{VERIFY}", "utf-8")
        with pytest.raises(ConfigError, match=r"must be a section, \[sign_in\]"):
            load(None, {"GATE_SECRETS_DIR": "none"})
        return
    found = problems(text)
    assert list(found) == [where]
    assert what in found[where]


@pytest.mark.parametrize("key", ["client_id", "device_url", "token_url"])
def test_a_device_needs_these(key: str) -> None:
    found = problems(given({**DEVICE, key: ""}))
    assert found == {f"config.toml: [sign_in.qr] {key}": 'is required with preset = "device"'}


@pytest.mark.parametrize("key", ["start_url", "text_pointer", "accepted", "pending"])
def test_an_api_of_ones_own_needs_these(key: str) -> None:
    missing = {name: value for name, value in CUSTOM.items() if name != key}
    assert f"config.toml: [sign_in.qr] {key}" in problems(given(missing))


def test_complete_ones_are_fine() -> None:
    assert read(given(DEVICE)).sign_in
    assert read(given(CUSTOM, refused=["status 403"], ask_name=True)).sign_in
    assert not read("").sign_in
