"""Presets in the configuration: what must be set together, and what would be ignored."""

import os
from pathlib import Path

import pytest

from tests.signing import Signer, as_json, jwks
from tests.test_config import from_toml, problems_of

EC = Signer()
URL = 'url = "https://portal.example/keys"'
OURS = 'issuer = "https://portal.example"\naudience = "docs"'
JWT = f'[jwt]\n{OURS}\n[verify]\npreset = "jwt"\n{URL}\n'
FILE = JWT.replace(URL, "").replace("[verify]", 'key_file = "keys"\n[verify]')
INTROSPECTION = f'[verify]\npreset = "introspection"\n{URL}\n'
SECRET = "s3cr3t-Zx9-s3cr3t-Zx9-s3cr3t-Zx9"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a built site and a key file in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "site").mkdir()
    (tmp_path / "site/index.html").touch()
    key_file(EC.pem())
    return tmp_path


def key_file(raw: bytes, mode: int = 0o600) -> None:
    file = Path("keys")
    file.unlink(missing_ok=True)
    file.write_bytes(raw)
    file.chmod(mode)


def only_problem(text: str, **environ: str) -> tuple[str, str]:
    ((where, what),) = problems_of(text, **environ).items()
    return where.removeprefix("config.toml: "), what


@pytest.mark.parametrize(
    "text",
    [
        JWT,
        FILE,
        f"{FILE}url = ''",
        f'{JWT}headers = {{ "X-Key" = "x" }}\nproxy = "http://proxy:3128"\nmax_in_flight = 2',
        f'{JWT}subject = "/user/id"\nexpires = ""',
        INTROSPECTION,
        f'{INTROSPECTION}[introspection]\nclient_id = "gate"\nclient_secret = "{SECRET}"',
        f'{INTROSPECTION}[introspection]\nbearer = "{SECRET}"\nscope = "docs"',
        f'{INTROSPECTION}headers = {{ Authorization = "Custom x" }}',
        f'{INTROSPECTION}method = "GET"\ntoken_in = "query"',
    ],
)
def test_lawful_presets_are_taken(text: str) -> None:
    from_toml(text)


def test_a_preset_may_come_from_the_environment() -> None:
    settings = from_toml(f"[verify]\n{URL}", GATE_VERIFY__PRESET="introspection")
    assert (settings.verify.method, settings.verify.active) == ("POST", "/active")


# jwt


def test_keys_come_from_an_address_or_from_a_file() -> None:
    where, what = only_problem(JWT.replace(URL, ""))
    assert where == "[verify] url"
    assert "key_file" in what
    where, what = only_problem(FILE + URL)
    assert where == "[verify] url"
    assert "remove one" in what


@pytest.mark.parametrize("key", ["issuer", "audience"])
def test_a_signature_alone_is_not_enough(key: str) -> None:
    text = "\n".join(line for line in JWT.splitlines() if not line.startswith(key))
    where, what = only_problem(text)
    assert where == f"[jwt] {key}"
    assert "required" in what


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("method", '"GET"'),
        ("method", '"POST"'),
        ("token_in", '"query"'),
        ("token_name", '"token"'),
        ("active", '"/active"'),
        ("active", '""'),
    ],
)
def test_what_only_an_api_could_be_asked_by_is_not_ignored(key: str, value: str) -> None:
    where, what = only_problem(f"{JWT}{key} = {value}")
    assert where == f"[verify] {key}"
    assert "remove it" in what


def test_such_a_key_is_told_where_it_was_given() -> None:
    assert only_problem(JWT, GATE_VERIFY__METHOD="GET")[0] == "environment: GATE_VERIFY__METHOD"


@pytest.mark.parametrize(
    "line",
    [
        'headers = { "X-Key" = "x" }',
        'ca_file = "keys"',
        'client_certificate = "keys"',
        'proxy = "http://proxy:3128"',
    ],
)
def test_what_reaches_an_address_is_not_ignored_beside_a_key_file(line: str) -> None:
    where, _ = only_problem(FILE + line)
    assert where == f"[verify] {line.partition(' ')[0]}"


@pytest.mark.parametrize("names", ['["HS256", "RS256"]', '["ES256", "HS512"]'])
@pytest.mark.parametrize("text", [JWT, FILE])
def test_hmac_never_stands_beside_public_keys(text: str, names: str) -> None:
    where, what = only_problem(text.replace("[jwt]", f"[jwt]\nalgorithms = {names}"))
    assert where == "[jwt] algorithms"
    assert "HS" in what


def test_hmac_never_goes_with_an_address() -> None:
    where, what = only_problem(JWT.replace("[jwt]", '[jwt]\nalgorithms = ["HS256"]'))
    assert where == "[jwt] algorithms"
    assert "key_file" in what


HMAC = FILE.replace("[jwt]", '[jwt]\nalgorithms = ["HS256"]')


def test_a_secret_of_32_bytes_that_others_cannot_read_is_taken() -> None:
    for mode in (0o600, 0o640):
        key_file(SECRET.encode() + b"\n", mode)
        assert len(SECRET) == 32
        from_toml(HMAC)


@pytest.mark.parametrize(
    ("raw", "mode", "why"),
    [
        (SECRET[:-1].encode(), 0o600, "short secret"),
        (b"", 0o600, "short secret"),
        (SECRET.encode(), 0o644, "chmod o-rwx"),
        (SECRET.encode(), 0o602, "chmod o-rwx"),
        (EC.pem(), 0o600, "not for HMAC"),
        (as_json(jwks(EC)), 0o600, "not for HMAC"),
    ],
)
def test_other_secrets_are_refused(raw: bytes, mode: int, why: str) -> None:
    key_file(raw, mode)
    where, what = only_problem(HMAC)
    assert where == "[jwt] key_file"
    assert why in what
    assert SECRET[:8] not in what


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (EC.private_pem(), "private key"),
        (b"", "neither"),
        (b'{"keys": []}', "empty"),
        (Signer("ES384", "P-384").pem(), "no algorithm"),
    ],
)
def test_other_key_files_are_refused(raw: bytes, why: str) -> None:
    key_file(raw)
    where, what = only_problem(FILE)
    assert where == "[jwt] key_file"
    assert why in what


def test_a_public_key_may_be_read_by_everybody() -> None:
    for raw in (EC.pem(), as_json(jwks(EC))):
        key_file(raw, 0o644)
        from_toml(FILE)


def test_the_key_file_must_be_a_file_and_its_path_is_not_told() -> None:
    where, what = only_problem(FILE.replace('"keys"', f'"{SECRET}"'))
    assert where == "[jwt] key_file"
    assert "no such file" in what
    assert SECRET not in what
    os.mkfifo("fifo")
    assert "regular file" in only_problem(FILE.replace('"keys"', '"fifo"'))[1]


def test_a_key_file_is_found_from_the_file_that_names_it(folder: Path) -> None:
    assert from_toml(FILE).jwt.key_file == folder / "keys"


# introspection


@pytest.mark.parametrize(
    ("own", "where"),
    [
        ('client_id = "gate"', "[introspection] client_id"),
        (f'client_secret = "{SECRET}"', "[introspection] client_secret"),
        (f'bearer = "x"\nclient_id = "gate"\nclient_secret = "{SECRET}"', "[introspection] bearer"),
        ('bearer = "x"\nclient_id = "gate"', "[introspection] bearer"),
    ],
)
def test_the_gate_is_known_in_one_whole_way(own: str, where: str) -> None:
    place, what = only_problem(f"{INTROSPECTION}[introspection]\n{own}")
    assert place == where
    assert SECRET not in what


@pytest.mark.parametrize(
    ("line", "where"),
    [
        ('headers = { authorization = "x" }', "[verify] headers"),
        ('token_in = "header"\ntoken_name = "Authorization"', "[verify] token_name"),
    ],
)
def test_the_authorization_header_is_sent_once(line: str, where: str) -> None:
    assert only_problem(f'{INTROSPECTION}{line}\n[introspection]\nbearer = "x"')[0] == where
    from_toml(f"{INTROSPECTION}{line}")


# The sections of presets that are not chosen


@pytest.mark.parametrize(
    ("text", "own", "where"),
    [
        (f"[verify]\n{URL}", '[introspection]\nscope = "docs"', "[introspection] scope"),
        (f"[verify]\n{URL}", '[introspection]\nclient_id = "gate"', "[introspection] client_id"),
        (f"[verify]\n{URL}", '[jwt]\naudience = "docs"', "[jwt] audience"),
        (f"[verify]\n{URL}", '[jwt]\nkey_file = "keys"', "[jwt] key_file"),
        (f"[verify]\n{URL}", '[jwt]\nalgorithms = ["HS256"]', "[jwt] algorithms"),
        (INTROSPECTION, '[jwt]\nscope = "docs"', "[jwt] scope"),
        (JWT, '[introspection]\nbearer = "x"', "[introspection] bearer"),
    ],
)
def test_what_another_preset_would_read_is_not_ignored(text: str, own: str, where: str) -> None:
    place, what = only_problem(f"{text}\n{own}")
    assert place == where
    assert "preset" in what


def test_defaults_of_other_presets_do_no_harm() -> None:
    from_toml(f"[verify]\n{URL}\n[jwt]\nleeway = 30\nissuer = ''\n[introspection]\nscope = ''")
