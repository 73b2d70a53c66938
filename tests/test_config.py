"""Where settings come from, which source wins, and that every problem is told at once."""

import base64
import json
import os
import re
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from gate.config.load import ConfigError, Problem, load
from gate.config.settings import Settings, SiteSettings, VerifySettings, shown

URL = "http://portal.example/api/valid"
VERIFY = f'[verify]\nurl = "{URL}"\n'
KEY = base64.urlsafe_b64encode(bytes(range(32))).decode()
SECRET = "s3cr3t-Zx9"
ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a built site in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "site").mkdir()
    (tmp_path / "site/index.html").write_text("<h1>Docs</h1>")
    return tmp_path


def from_toml(text: str, **environ: str) -> Settings:
    Path("config.toml").write_text(text, "utf-8")
    return load(None, {"GATE_SECRETS_DIR": "secrets", **environ})


def problems(read: Callable[[], object]) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        read()
    assert str(caught.value).count("\n") == len(caught.value.problems)
    return list(caught.value.problems)


def problems_of(text: str, **environ: str) -> dict[str, str]:
    found = problems(lambda: from_toml(text, **environ))
    assert len({problem.where for problem in found}) == len(found)
    return {problem.where: problem.what for problem in found}


def secret_file(name: str, content: str | bytes) -> Path:
    Path("secrets").mkdir(exist_ok=True)
    file = Path("secrets", name)
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


# The shipped file


def shipped_with_every_key() -> str:
    """The shipped file with the keys that presets change, which stand there behind a "# "."""
    return re.sub("^# (?=[a-z_]+ = )", "", (ROOT / "config.toml").read_text("utf-8"), flags=re.M)


def names(document: Mapping[str, Any], within: str = "") -> Iterator[str]:
    """Every section and key in order; keys have a dot, and the tables that are values have none."""
    for name, value in document.items():
        inner = name == "qr" or not within
        yield f"{within}{name}".replace(".", " ") if inner else f"{within}{name}"
        if isinstance(value, dict) and inner:
            yield from names(value, f"{within}{name}.")


def test_the_shipped_file_has_every_key_with_its_default() -> None:
    document = tomllib.loads(shipped_with_every_key())
    expected = shown(Settings(verify=VerifySettings(url="http://localhost:8081/api/valid")))
    assert document == expected
    assert list(names(document)) == list(names(expected))


def test_every_key_of_the_shipped_file_is_explained_on_its_line() -> None:
    lines = shipped_with_every_key().splitlines()
    keys = [line for line in lines if re.match("[a-z_]+ = ", line)]
    assert len(keys) == len([name for name in names(shown(_defaults())) if "." in name])
    assert [line for line in keys if "# " not in line or len(line) > 100] == []


def test_the_shipped_file_loads_as_the_defaults_do(folder: Path) -> None:
    shipped = from_toml((ROOT / "config.toml").read_text("utf-8"))
    assert shipped == from_toml('[verify]\nurl = "http://localhost:8081/api/valid"')


@pytest.mark.parametrize(
    ("preset", "more"),
    [
        ("introspection", {}),
        ("jwt", {"GATE_JWT__ISSUER": "https://portal.example", "GATE_JWT__AUDIENCE": "docs"}),
    ],
)
def test_no_key_of_the_shipped_file_stands_in_the_way_of_a_preset(
    preset: str, more: dict[str, str]
) -> None:
    shipped = (ROOT / "config.toml").read_text("utf-8").replace('"boolean" ', f'"{preset}" ', 1)
    verify = from_toml(shipped, **more).verify
    assert verify == VerifySettings.model_validate({"preset": preset, "url": verify.url})
    assert verify.preset == preset


def _defaults() -> Settings:
    return Settings(verify=VerifySettings(url=URL))


# Which file


def test_without_a_file_the_environment_is_enough(folder: Path) -> None:
    settings = load(None, {"GATE_VERIFY__URL": URL})
    assert settings.verify == VerifySettings(url=URL)
    assert settings.site == SiteSettings(root=folder / "site")


def test_the_named_file_comes_before_the_variable_and_that_before_the_default() -> None:
    for port, name in ((1, "config.toml"), (2, "two.toml"), (3, "three.toml")):
        Path(name).write_text(f"{VERIFY}[server]\nport = {port}\n")
    assert load(None, {}).server.port == 1
    assert load(None, {"GATE_CONFIG": ""}).server.port == 1
    assert load(None, {"GATE_CONFIG": "two.toml"}).server.port == 2
    assert load(Path("three.toml"), {"GATE_CONFIG": "two.toml"}).server.port == 3


def test_a_named_file_must_exist() -> None:
    for path, environ in ((Path("no.toml"), {}), (None, {"GATE_CONFIG": "no.toml"})):
        (problem,) = problems(partial(load, path, environ))
        assert problem.where == "no.toml"
        assert "no such file" in problem.what


def test_what_is_no_readable_text_is_a_problem_and_no_traceback(folder: Path) -> None:
    Path("latin.toml").write_bytes('[verify]\nurl = "http://ü"'.encode("latin-1"))
    Path("loop.toml").symlink_to("loop.toml")
    for path, what in (
        (folder, "directory"),
        (Path("latin.toml"), "UTF-8"),
        (Path("loop.toml"), ""),
    ):
        (problem,) = problems(partial(load, path, {}))
        assert problem.where == str(path)
        assert what in problem.what


def test_a_byte_order_mark_and_windows_line_ends_are_taken() -> None:
    Path("config.toml").write_bytes(b"\xef\xbb\xbf" + VERIFY.replace("\n", "\r\n").encode())
    assert load(None, {}).verify.url == URL


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[verify]\nurl = http://x", "line 2"),
        ('[verify]\nurl = "a"\nurl = "b"', "line 3"),
        ("\n[verify", "line 2"),
        ("a = " + "[" * 5000, ""),
        ("[server]\nport = " + "9" * 5000, ""),
    ],
)
def test_a_syntax_error_names_file_and_line(text: str, place: str) -> None:
    ((where, what),) = problems_of(text).items()
    assert where == "config.toml"
    assert "TOML" in what
    assert place in what


def test_a_broken_file_does_not_hide_problems_elsewhere() -> None:
    found = problems_of("[verify", GATE_SERVER__PORT="x", GATE_SERVER__PROT="1")
    assert list(found) == [
        "config.toml", "environment: GATE_SERVER__PORT", "environment: GATE_SERVER__PROT",
    ]  # fmt: skip


# Paths


def test_relative_paths_start_at_the_file_and_so_do_the_defaults(folder: Path) -> None:
    conf = folder / "etc"
    for name in ("docs", "site"):
        (conf / name).mkdir(parents=True)
        (conf / name / "index.html").touch()
    (conf / "gate.toml").write_text(VERIFY)
    settings = load(Path("etc/gate.toml"), {})
    assert settings.site.root == conf / "site"
    assert settings.server.state_dir == conf / ".gate"
    (conf / "gate.toml").write_text(f'{VERIFY}[site]\nroot = "docs"\n')
    assert load(Path("etc/gate.toml"), {}).site.root == conf / "docs"


def test_relative_paths_from_outside_start_at_the_working_directory(folder: Path) -> None:
    (folder / "etc").mkdir()
    (folder / "etc/gate.toml").write_text(VERIFY)
    secret_file("GATE_SERVER__STATE_DIR", "state\n")
    environ = {"GATE_SITE__ROOT": "site", "GATE_SECRETS_DIR": "secrets"}
    settings = load(Path("etc/gate.toml"), environ)
    assert settings.site.root == folder / "site"
    assert settings.server.state_dir == folder / "state"


def test_links_in_a_path_are_kept_so_that_a_site_can_be_swapped(folder: Path) -> None:
    (folder / "current").symlink_to("site")
    assert from_toml(f'{VERIFY}[site]\nroot = "current"').site.root == folder / "current"


# Environment and secret files


def test_a_variable_beats_a_secret_file_and_that_beats_the_file() -> None:
    text = f"{VERIFY}[cache]\nttl = 1\nnegative_ttl = 1\nmax_entries = 1\n"
    secret_file("GATE_CACHE__NEGATIVE_TTL", "2\n")
    secret_file("GATE_CACHE__MAX_ENTRIES", "2\r\n")
    cache = from_toml(text, GATE_CACHE__MAX_ENTRIES="3").cache
    assert (cache.ttl, cache.negative_ttl, cache.max_entries) == (1, 2, 3)


def test_what_is_overridden_is_not_judged() -> None:
    secret_file("GATE_SERVER__PORT", "y")
    assert from_toml(f'{VERIFY}[server]\nport = "x"', GATE_SERVER__PORT="5").server.port == 5


def test_only_the_trailing_line_end_of_a_secret_file_is_dropped() -> None:
    secret_file("GATE_VERIFY__HEADERS", '{"X-Key": " a "}\n')
    headers = from_toml(VERIFY).verify.headers
    assert headers["X-Key"].get_secret_value() == " a "


def test_names_that_are_not_ours_are_ignored() -> None:
    secret_file("gate.pem", "x")
    secret_file("GATE_PORT", "tcp://10.0.0.1:80")
    Path("secrets/..data").mkdir()
    from_toml(VERIFY, GATE_PORT="tcp://10.0.0.1:80", GATE_PORT_80_TCP="x", MY__VAR="x", PATH="/bin")


def test_a_missing_secrets_folder_is_fine_and_what_is_no_folder_is_not() -> None:
    from_toml(VERIFY, GATE_SECRETS_DIR="nowhere")
    from_toml(VERIFY, GATE_SECRETS_DIR="")
    ((where, what),) = problems_of(VERIFY, GATE_SECRETS_DIR="config.toml").items()
    assert where == "secret files: config.toml"
    assert "not a directory" in what


@pytest.mark.parametrize("name", ["GATE_VERIFY__UR", "GATE_verify__url", "GATE_VERIFY__URL.txt"])
def test_unknown_names_are_errors_with_the_nearest_name(name: str) -> None:
    ((where, what),) = problems_of(VERIFY, **{name: SECRET}).items()
    assert where == f"environment: {name}"
    assert "did you mean GATE_VERIFY__URL?" in what
    secret_file(name, SECRET)
    ((where, what),) = problems_of(VERIFY).items()
    assert where == f"secret file: secrets/{name}"
    assert "GATE_VERIFY__URL" in what


def test_a_section_too_deep_or_without_name_is_unknown() -> None:
    found = problems_of(VERIFY, GATE_VERIFY__HEADERS__X="1", GATE___PORT="1", GATE_A__="1")
    assert len(found) == 3


def test_secret_files_that_cannot_be_read_are_problems() -> None:
    Path("secrets/GATE_SERVER__PORT").mkdir(parents=True)
    os.mkfifo("secrets/GATE_SERVER__HOST")
    Path("secrets/GATE_LOG__LEVEL").symlink_to("nowhere")
    secret_file("GATE_LOG__FORMAT", b"\xff")
    found = problems_of(VERIFY)
    assert [where.partition("__")[2] for where in found] == ["FORMAT", "LEVEL", "HOST", "PORT"]


@pytest.mark.parametrize(
    ("text", "origins"),
    [
        ("", ()),
        ("https://a.example", ("https://a.example",)),
        (" https://a.example , https://b.example,", ("https://a.example", "https://b.example")),
        ('["https://a.example", "https://b.example"]', ("https://a.example", "https://b.example")),
        ("[]", ()),
    ],
)
def test_lists_are_json_or_comma_separated(text: str, origins: tuple[str, ...]) -> None:
    assert from_toml(VERIFY, GATE_FRAME__ALLOWED_ORIGINS=text).frame.allowed_origins == origins


def test_switches_and_numbers_are_read_by_the_type_of_their_key() -> None:
    for text, value in {"true": True, "1": True, "False": False, " 0\n": False}.items():
        assert from_toml(VERIFY, GATE_SITE__RELOAD=text).site.reload is value
    assert from_toml(VERIFY, GATE_CACHE__TTL="2.5").cache.ttl == 2.5
    assert from_toml(VERIFY, GATE_VERIFY__TOKEN_NAME="1").verify.token_name == "1"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("GATE_SITE__RELOAD", "yes"),
        ("GATE_SITE__RELOAD", ""),
        ("GATE_SERVER__PORT", "8080.0"),
        ("GATE_SERVER__PORT", ""),
        ("GATE_SERVER__PORT", "9" * 5000),
        ("GATE_CACHE__TTL", "nan"),
        ("GATE_CACHE__TTL", "1e999"),
        ("GATE_CACHE__TTL", "true"),
        ("GATE_SITE__PUBLIC", "[1"),
        ("GATE_SITE__PUBLIC", "[" * 100_000),
        ("GATE_SITE__PUBLIC", "[1]"),
        ("GATE_VERIFY__HEADERS", "X-Key: a"),
        ("GATE_VERIFY__HEADERS", '["a"]'),
        ("GATE_VERIFY__HEADERS", '{"a": 1}'),
        ("GATE_VERIFY__TOKEN_NAME", "\udcff"),
        ("GATE_SITE__ROOT", "\udcff"),
    ],
)
def test_texts_of_the_wrong_type_are_problems(name: str, text: str) -> None:
    assert list(problems_of(VERIFY, **{name: text})) == [f"environment: {name}"]


# Every problem at once


def test_every_problem_of_every_kind_is_in_one_report() -> None:
    secret_file("GATE_CACHE__TTL", "soon")
    text = """
        prot = 1
        log = "loud"
        [sitee]
        root = "x"
        [server]
        prot = 8080
        port = "8080"
        workers = 2
        public_url = "http://docs.example"
        tls_key = "none.pem"
        [frame]
        allowed_origins = ["*", "https://a.example", "https://b.example/"]
        [session]
        keys = ["short"]
        [revoke]
        secret = "short"
        [jwt]
        algorithms = ["none"]
        issuer = "https://portal.example"
        [introspection]
        client_id = "gate"
        [site]
        root = "nowhere"
        [verify]
        method = "PUT"
        preset = "introspection"
        headers = { "X-A" = "1", "X B" = "2" }
    """
    found = problems(lambda: from_toml(text, GATE_INTAKE__FORM="maybe", GATE_X__Y="1"))
    assert [problem.where for problem in found] == [
        "config.toml: prot",
        "config.toml: log",
        "config.toml: sitee",
        "config.toml: [server] prot",
        "secret file: secrets/GATE_CACHE__TTL",
        "environment: GATE_INTAKE__FORM",
        "environment: GATE_X__Y",
        "config.toml: [server] port",
        "config.toml: [server] public_url",
        "config.toml: [verify] url",
        "config.toml: [verify] method",
        "config.toml: [verify] headers",
        "config.toml: [jwt] algorithms",
        "config.toml: [session] keys",
        "config.toml: [frame] allowed_origins",
        "config.toml: [frame] allowed_origins",
        "config.toml: [revoke] secret",
        "config.toml: [server] tls_key",
        "config.toml: [jwt] issuer",
        "config.toml: [introspection] client_id",
        "config.toml: [site] root",
        "config.toml: [server] tls_key",
    ]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("[server]\nprot = 1", "[server] port"),
        ("[server]\nttl = 1", "[cache] ttl"),
        ("[verfy]\nurl = 1", "[verify]"),
        ("port = 1", "[server] port or [metrics] port"),
        ("expires = 1", "[verify] expires or [session] expires"),
    ],
)
def test_unknown_keys_and_sections_come_with_the_nearest_name(text: str, hint: str) -> None:
    (what,) = problems_of(f"{text}\n{VERIFY}").values()
    assert f"did you mean {hint}?" in what


def test_names_in_a_report_cannot_break_its_lines() -> None:
    (where,) = problems_of(f'{VERIFY}"a\\nb\\u001b" = 1')
    assert where == "config.toml: [verify] a\\nb\\x1b"


def test_a_report_says_how_many_problems_and_where() -> None:
    with pytest.raises(ConfigError) as caught:
        from_toml("[server]\nport = true")
    assert caught.value.source == "config.toml"
    assert str(caught.value) == (
        "2 problems in the configuration:\n"
        "  config.toml: [server] port: must be a whole number, without quotes\n"
        "  config.toml: [verify] url: is required: the address of the portal's verify API, "
        "http://… or https://…"
    )


def test_a_default_without_a_file_is_placed_where_it_would_be_written() -> None:
    (problem,) = problems(lambda: load(None, {}))
    assert problem.where == "config.toml (absent): [verify] url"


def test_an_entry_of_a_list_or_table_is_named() -> None:
    text = f'{VERIFY}headers = {{ "X-A" = 1 }}\n[site]\npublic = ["/a", "b"]'
    found = problems_of(text)
    assert found["config.toml: [verify] headers"].startswith('"X-A" must be a text')
    assert found["config.toml: [site] public"].startswith("entry 2 must start with")


# Keys together


def test_sources_for_a_policy_that_is_off_are_told() -> None:
    text = f'{VERIFY}[site]\ncsp_sources = ["img-src https://a.example"]\ncsp = '
    ((where, said),) = problems_of(text + '"off"').items()
    assert where == "config.toml: [site] csp_sources"
    assert "turn csp on" in said
    assert from_toml(text + '"report-only"').site.csp == "report-only"


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (f'{VERIFY}token_in = "form"', "[verify] token_in"),
        (f'{VERIFY}token_in = "json"', "[verify] token_in"),
        (
            f'{VERIFY}token_in = "header"\ntoken_name = "X-Key"\nheaders = {{ x-key = "a" }}',
            "[verify] headers",
        ),
        (f'{VERIFY}client_key = "config.toml"', "[verify] client_key"),
        (f'{VERIFY}[server]\ntls_key = "config.toml"', "[server] tls_key"),
        (f'{VERIFY}[server]\ntls_certificate = "config.toml"', "[server] tls_certificate"),
        (
            f'{VERIFY}[server]\nsocket = "gate.sock"\ntls_certificate = "config.toml"\n'
            'tls_key = "config.toml"',
            "[server] socket",
        ),
        (f'{VERIFY}[intake]\nquery = ""\nform = false\nbearer = false', "[intake] query"),
    ],
)
def test_keys_that_contradict_each_other_are_refused(text: str, where: str) -> None:
    assert list(problems_of(text)) == [f"config.toml: {where}"]


@pytest.mark.parametrize(
    "path", ["/a b", "/do%63s", "/docs//x", "/docs/../x", "/./docs", "/-/docs", "/docs/-", "/dócs"]
)
def test_a_path_in_public_url_is_of_plain_names(path: str) -> None:
    found = problems_of(f'{VERIFY}[server]\npublic_url = "https://a.example{path}"')
    assert list(found) == ["config.toml: [server] public_url"]


@pytest.mark.parametrize(
    ("url", "prefix"),
    [("", ""), ("https://a.example/", ""), ("https://a.example/docs/v1.2/", "/docs/v1.2")],
)
def test_the_path_in_public_url_is_the_prefix(url: str, prefix: str) -> None:
    assert from_toml(f'{VERIFY}[server]\npublic_url = "{url}"').server.prefix == prefix


def test_a_shared_cache_wants_keys() -> None:
    found = problems_of(f'{VERIFY}[cache]\nshared_url = "redis://redis"')
    assert "gate new-key" in found["config.toml: [session] keys"]


def test_a_shared_cache_wants_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    text = f'{VERIFY}[cache]\nshared_url = "redis://redis"\n[session]\nkeys = ["{KEY}"]'
    assert from_toml(text).cache.shared_url == "redis://redis"
    monkeypatch.setitem(sys.modules, "redis", None)  # as if it were not installed
    ((where, what),) = problems_of(text).items()
    assert where == "config.toml: [cache] shared_url"
    assert 'pip install "docs-gate[redis]"' in what
    from_toml(VERIFY)


def test_tracing_wants_its_packages(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = f"{VERIFY}[tracing]\nenabled = true"
    assert from_toml(text).tracing.enabled
    monkeypatch.setitem(
        sys.modules, "opentelemetry.exporter.otlp.proto.http", None
    )  # as if it were not installed
    ((where, what),) = problems_of(text).items()
    assert where == "config.toml: [tracing] enabled"
    assert 'pip install "docs-gate[otel]"' in what


def test_metrics_and_site_have_two_ports(folder: Path) -> None:
    ((where, _),) = problems_of(f"{VERIFY}[metrics]\nport = 8080").items()
    assert where == "config.toml: [metrics] port"


def test_what_follows_from_a_problem_is_not_a_problem_of_its_own() -> None:
    assert list(problems_of(f'{VERIFY}token_in = "form"\nmethod = "PUT"')) == [
        "config.toml: [verify] method"
    ]


def test_lawful_combinations_are_taken() -> None:
    from_toml(f'{VERIFY}token_in = "form"\nmethod = "POST"')
    from_toml(f'{VERIFY}token_in = "header"\nheaders = {{ Authorization = "Basic x" }}')
    from_toml(f'{VERIFY}client_certificate = "config.toml"')
    from_toml(f"{VERIFY}[session]\nidle_timeout = 9\nlifetime = 3\n[intake]\nform = false")


# The file system


def test_the_site_must_be_a_folder_with_an_index_page(folder: Path) -> None:
    for root, what in (("nowhere", "no such file"), ("config.toml", "directory"), ("e", "index")):
        (folder / "e").mkdir(exist_ok=True)
        ((where, said),) = problems_of(f'{VERIFY}[site]\nroot = "{root}"').items()
        assert where == "config.toml: [site] root"
        assert what in said


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_the_index_page_must_be_a_regular_file(make: Callable[[Path], object]) -> None:
    Path("site/index.html").unlink()
    make(Path("site/index.html"))
    (what,) = problems_of(VERIFY).values()
    assert "regular file" in what


def test_a_site_with_an_entry_named_as_the_gates_own_is_refused() -> None:
    Path("site/-").mkdir()
    (what,) = problems_of(VERIFY).values()
    assert 'named "-"' in what


def test_named_files_must_be_readable() -> None:
    os.mkfifo("fifo")
    Path("loop").symlink_to("loop")
    verify = 'ca_file = "nowhere"\nclient_certificate = "site"\nclient_key = "fifo"\n'
    found = problems_of(f'{VERIFY}{verify}[server]\ntls_certificate = "loop"\ntls_key = "loop"')
    keys = ["tls_certificate", "tls_key", "ca_file", "client_certificate", "client_key"]
    assert [where.rpartition(" ")[2] for where in found] == keys


def _key_file(content: str, mode: int = 0o640) -> dict[str, str]:
    file = Path("my.key")
    file.write_text(content)
    file.chmod(mode)
    return {"GATE_SESSION__KEY_FILE": "my.key"}


def test_a_key_file_has_a_key_a_line_and_may_be_read_by_its_group() -> None:
    assert from_toml(VERIFY, **_key_file(f"# newest first\n{KEY}\n\n {KEY} \n")).session.key_file


@pytest.mark.parametrize(
    ("content", "mode", "what"),
    [
        (KEY, 0o644, "chmod o-rwx"),
        (KEY, 0o602, "chmod o-rwx"),
        ("", 0o600, "holds no key"),
        ("# none\n", 0o600, "holds no key"),
        (f"{KEY}\n{SECRET}\n", 0o600, "at line 2: short key"),
        (f"{KEY}{KEY}\n", 0o600, "at line 1: not a key"),
    ],
)
def test_other_key_files_are_refused(content: str, mode: int, what: str) -> None:
    ((where, said),) = problems_of(VERIFY, **_key_file(content, mode)).items()
    assert where == "environment: GATE_SESSION__KEY_FILE"
    assert what in said
    assert SECRET not in said


def test_every_bad_line_of_a_key_file_is_told() -> None:
    environ = _key_file("a\nb\n", 0o604)
    assert len(problems(lambda: from_toml(VERIFY, **environ))) == 3


def test_a_given_key_file_must_be_there_and_its_path_is_not_told() -> None:
    (what,) = problems_of(VERIFY, GATE_SESSION__KEY_FILE="nowhere.key").values()
    assert "no such file" in what
    (what,) = problems_of(VERIFY, GATE_SESSION__KEY_FILE=KEY).values()
    assert KEY not in what


def test_the_key_that_an_earlier_start_made_is_checked_when_it_is_needed() -> None:
    Path(".gate").mkdir()
    Path(".gate/session.key").write_text(KEY[:20])
    Path(".gate/session.key").chmod(0o600)
    ((where, what),) = problems_of(VERIFY).items()
    assert where == "config.toml: [session] key_file"
    assert "short key" in what
    from_toml(f'{VERIFY}[session]\nkeys = ["{KEY}"]')


def test_state_dir_must_be_a_folder_that_can_be_made_where_the_key_is_to_lie() -> None:
    for state_dir, what in (("config.toml", "no folder"), ("config.toml/a/b", "cannot be written")):
        ((where, said),) = problems_of(f'{VERIFY}[server]\nstate_dir = "{state_dir}"').items()
        assert where == "config.toml: [server] state_dir"
        assert what in said
    from_toml(f'{VERIFY}[server]\nstate_dir = "config.toml/a"\n[session]\nkeys = ["{KEY}"]')


def test_loading_writes_nothing(folder: Path) -> None:
    from_toml(VERIFY)
    problems_of("[server]\nport = 1")
    assert sorted(path.name for path in folder.rglob("*")) == ["config.toml", "index.html", "site"]


# Properties

_number = st.integers(1, 10**6) | st.floats(0.001, 10**6)
_name = st.text("abcXYZ019._~-", min_size=1, max_size=20)
_GIVEN: dict[str, st.SearchStrategy[Any]] = {
    "GATE_SERVER__PORT": st.integers(0, 65535),
    "GATE_SERVER__TRUSTED_PROXIES": st.lists(st.ip_addresses().map(str), max_size=3),
    "GATE_SERVER__HEADER_TIMEOUT": _number,
    "GATE_SITE__PUBLIC": st.lists(_name.map(lambda name: f"/{name}-/**"), max_size=3),
    "GATE_SITE__RELOAD": st.booleans(),
    "GATE_VERIFY__METHOD": st.sampled_from(["GET", "POST"]),
    "GATE_VERIFY__TOKEN_NAME": _name.map(lambda name: name.replace(".", "")).filter(bool),
    "GATE_VERIFY__HEADERS": st.dictionaries(
        st.sampled_from(["X-A", "X-B"]), st.text(st.characters(codec="ascii", min_codepoint=32))
        .map(lambda text: text.replace("\x7f", ""))
    ),
    "GATE_VERIFY__ACTIVE": st.lists(_name).map(lambda names: "".join(f"/{n}" for n in names)
                                               .replace("~", "~0")),
    "GATE_CACHE__TTL": _number,
    "GATE_REVOKE__SECRET": st.text("abc!~", min_size=16, max_size=20),
    "GATE_SESSION__KEYS": st.lists(
        st.binary(min_size=32, max_size=32).map(lambda b: base64.urlsafe_b64encode(b).decode()),
        max_size=2,
    ),
    "GATE_INTAKE__QUERY": _name,
    "GATE_FRAME__ALLOWED_ORIGINS": st.lists(
        st.sampled_from(["https://a.example", "http://B:80", "http://[::1]:1"]), max_size=3
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a site that stays the same for all examples of one property."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "site").mkdir()
    (folder / "site/index.html").touch()
    return folder


def _as_toml(given_values: dict[str, Any]) -> str:
    sections: dict[str, list[str]] = {"verify": [f'url = "{URL}"']}
    for name, value in given_values.items():
        section, _, key = name.removeprefix("GATE_").lower().partition("__")
        inline = json.dumps(value)
        if isinstance(value, dict):
            inline = "{" + ", ".join(f"{k} = {json.dumps(v)}" for k, v in value.items()) + "}"
        sections.setdefault(section, []).append(f"{key} = {inline}")
    return "\n".join(f"[{name}]\n" + "\n".join(lines) for name, lines in sections.items())


@given(values=st.fixed_dictionaries({}, optional=_GIVEN), data=st.data())
@hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_environment_and_the_file_say_the_same(
    place: Path, monkeypatch: pytest.MonkeyPatch, values: dict[str, Any], data: st.DataObject
) -> None:
    monkeypatch.chdir(place)
    environ = {"GATE_VERIFY__URL": URL, "GATE_SECRETS_DIR": "none"}
    for name, value in values.items():
        plain_list = isinstance(value, list) and data.draw(st.booleans())
        text = ",".join(value) if plain_list else json.dumps(value)
        environ[name] = value if isinstance(value, str) else text
    file = place / "some.toml"
    file.write_text(_as_toml(values), "utf-8")
    assert load(file, {"GATE_SECRETS_DIR": "none"}) == load(None, environ)


_SECRET_SPOTS = (
    "[session]\nkeys = {}",
    "[session]\nkey_file = {}",
    "[session]\ncookie_name = {}",
    "[verify]\nurl = {}",
    "[verify]\nproxy = {}",
    "[verify]\nheaders = {}",
    "[verify]\ntoken_name = {}",
    "[cache]\nshared_url = {}",
    "[introspection]\nclient_secret = {}",
    "[introspection]\nbearer = {}",
    "[introspection]\nscope = {}",
    "[jwt]\nkey_file = {}",
    "[jwt]\nalgorithms = {}",
    "[revoke]\nsecret = {}",
    "[server]\npublic_url = {}",
    "[server]\nport = {}",
    "[server]\ntrusted_proxies = {}",
    "[frame]\nallowed_origins = {}",
    "[intake]\nquery = {}",
    "[log]\nlevel = {}",
    "[site]\npublic = {}",
    "[site]\nreload = {}",
)
_SECRET_FORMS = (
    '"{}"', '["{}"]', '[["{}"]]', '"{}\\n"', '"http://u:{}@h"', '"http://u:{}@h:x/"', '["{}"',
    '"http://u:{}@"', '["https://u:{}@a.example/"]', '{{ "X" = "{}\\n" }}', '{{ "X" = ["{}"] }}',
    '{{ "X {}" = "" }}', '"{}', "{}", "'''{}\n'''", '"https://docs.example/?k={}"', '"\\u0000{}"',
)  # fmt: skip


@pytest.mark.parametrize("form", _SECRET_FORMS)
@pytest.mark.parametrize("spot", _SECRET_SPOTS)
def test_no_message_ever_holds_a_value(spot: str, form: str) -> None:
    name = "GATE_" + spot.partition(" = ")[0].replace("[", "").replace("]\n", "__").upper()
    value = form.format(KEY)
    always_wrong = {"GATE_X__Y": "", "GATE_SECRETS_DIR": "secrets"}
    secret_file(name, value)
    Path("spot.toml").write_text(spot.format(value), "utf-8")
    for read in (
        partial(load, Path("spot.toml"), {"GATE_X__Y": "", "GATE_SECRETS_DIR": "none"}),
        partial(load, None, always_wrong),
        partial(load, None, {name: value, **always_wrong}),
        partial(load, None, {name: value.strip('"'), **always_wrong}),
    ):
        with pytest.raises(ConfigError) as caught:
            read()
        assert KEY not in str(caught.value)
        assert KEY not in repr(caught.value)
        assert caught.value.__context__ is None
