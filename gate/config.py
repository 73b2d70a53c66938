"""The configuration: config.toml, secret files and the environment become frozen settings.

Reads and judges, and writes nothing. Every problem of every kind is gathered before any is
reported; each names its place and the cure, never a value, because any value may be secret.
"""

import json
import os
import re
import stat
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any, Final, get_origin
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gate.settings import SessionSettings, Settings, key_problem

_SECTIONS: Final[dict[str, type[BaseModel]]] = {
    name: info.annotation
    for name, info in Settings.model_fields.items()
    if isinstance(info.annotation, type)
}
_TYPES: Final[dict[str, Any]] = {  # of every key, as "section.key"
    f"{section}.{key}": info.annotation
    for section, model in _SECTIONS.items()
    for key, info in model.model_fields.items()
}
_VARIABLES: Final = {f"GATE_{name.replace('.', '__')}".upper(): name for name in _TYPES}
_UNUSABLE: Final = object()  # a value that is given, and already reported as wrong
_SAID: Final = {  # pydantic's error types in plain words; its other messages will do
    "missing": "is required: the address of the portal's verify API, http://… or https://…",
    "string_type": "must be a text in quotes",
    "int_type": "must be a whole number, without quotes",
    "float_type": "must be a number, without quotes",
    "bool_type": "must be true or false, without quotes",
    "tuple_type": 'must be a list, as ["…", "…"]',
    "dict_type": 'must be a table of texts, as { "X-Name" = "…" }',
}

# What is wrong between keys or on disk, then the keys that it follows from, its place first.
_Finding = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to mend: where (file or variable, section, key), what is wrong and the cure."""

    where: str
    what: str


class ConfigError(Exception):
    """The configuration is wrong. `problems` has all of it, `source` names the config file."""

    def __init__(self, problems: Iterable[Problem], source: str) -> None:
        self.problems = tuple(problems)
        self.source = source
        super().__init__(self.problems, source)

    def __str__(self) -> str:
        number = len(self.problems)
        head = f"{number} problem{'' if number == 1 else 's'} in the configuration:"
        return "\n".join([head, *(f"  {p.where}: {p.what}" for p in self.problems)])


def load(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """The settings from `path` (else $GATE_CONFIG, else config.toml here) and what overrides it.

    A variable of `environ` beats a secret file, which beats the config file. Relative paths in
    the config file, and the defaults, start at its folder; those in variables and secret files,
    and all where there is no config file, at the working directory. Raises `ConfigError` with
    every problem there is.
    """
    named = path or (Path(environ["GATE_CONFIG"]) if environ.get("GATE_CONFIG") else None)
    file = named or Path("config.toml")
    absent = named is None and not os.path.lexists(file)
    reading = _Reading(f"{file} (absent)" if absent else str(file), file.absolute().parent)
    if not absent:
        _read_config_file(file, reading)
    _read_secret_files(environ, reading)
    for variable in sorted(filter(_is_ours, environ)):
        read = partial(environ.__getitem__, variable)
        reading.override(variable, f"environment: {variable}", read)
    settings = reading.settings()
    if reading.problems:
        raise ConfigError(reading.problems, str(file))
    return settings


@dataclass(frozen=True, slots=True)
class _Given:
    value: object
    where: str
    base: Path  # where a relative path starts


class _Reading:
    """One reading of all sources: what each key is given, where, and every problem so far."""

    def __init__(self, label: str, base: Path) -> None:
        self.problems: list[Problem] = []
        self._label = label
        self._base = base
        self._given: dict[str, _Given] = {}

    def report(self, where: str, what: str) -> None:
        self.problems.append(Problem(_printable(where), _printable(what)))

    def put(self, name: str, value: object) -> None:
        """Takes the value that the config file gives a key."""
        self._given[name] = _Given(value, self._where(name), self._base)

    def override(self, variable: str, where: str, read: Callable[[], str]) -> None:
        """Takes the text of a variable or a secret file, parsed by the type of its key."""
        name = _VARIABLES.get(variable)
        if name is None:
            near = get_close_matches(variable.upper(), _VARIABLES, 1)
            self.report(where, f"unknown setting{_did_you_mean(near)}")
            return
        value: object = _UNUSABLE
        try:
            value = _parsed(read(), _TYPES[name])
        except ValueError as error:
            self.report(where, str(error))
        self._given[name] = _Given(value, where, Path.cwd())

    def settings(self) -> Settings:
        """The settings, complete only if there are no `problems` afterwards.

        A key with a problem takes its default, so that all else can still be judged; findings
        that touch such a key are left out, since they may only follow from it.
        """
        bad = {name for name, given in self._given.items() if given.value is _UNUSABLE}
        sections = {name: self._section(name, bad) for name in _SECTIONS}
        settings = Settings.model_validate(sections)
        for what, *names in (*_unavailable(settings), *_conflicts(settings), *_on_disk(settings)):
            if bad.isdisjoint(names):
                self.report(self._where(names[0]), what)
        return settings

    def _section(self, section: str, bad: set[str]) -> BaseModel:
        model = _SECTIONS[section]
        names = {key: f"{section}.{key}" for key in model.model_fields}
        given = {k: self._given[n].value for k, n in names.items() if n in self._given.keys() - bad}
        try:
            checked = model.model_validate(given)
        except ValidationError as error:
            wrong = [(names[str(d["loc"][0])], d) for d in error.errors(include_url=False)]
            for name, detail in wrong:
                if name not in bad:
                    self.report(self._where(name), _said(detail))
            bad.update(name for name, _ in wrong)
            good = {key: value for key, value in given.items() if names[key] not in bad}
            required = {"url": "http://localhost"} if names.get("url") in bad else {}
            checked = model.model_validate(good | required)
        paths = {k: v for k in names if isinstance(v := getattr(checked, k), Path)}
        return checked.model_copy(update={k: self._base_of(names[k]) / v for k, v in paths.items()})

    def _where(self, name: str) -> str:
        return self._given[name].where if name in self._given else f"{self._label}: {_place(name)}"

    def _base_of(self, name: str) -> Path:
        return self._given[name].base if name in self._given else self._base


def _read_config_file(file: Path, reading: _Reading) -> None:
    try:
        document = _toml(_text(file, regular=False))
    except ValueError as error:
        reading.report(str(file), str(error))
        for name in _TYPES:
            reading.put(name, _UNUSABLE)
        return
    for section, table in document.items():
        if section not in _SECTIONS:
            reading.report(f"{file}: {section}", f"unknown section or key{_nearest(section)}")
        elif isinstance(table, dict):
            _read_table(file, section, table, reading)
        else:
            reading.report(f"{file}: {section}", f"must be a section, [{section}]")
            for key in _SECTIONS[section].model_fields:
                reading.put(f"{section}.{key}", _UNUSABLE)


def _read_table(file: Path, section: str, table: Mapping[str, object], reading: _Reading) -> None:
    for key, value in table.items():
        if f"{section}.{key}" in _TYPES:
            reading.put(f"{section}.{key}", value)
        else:
            hint = _nearest(key, section)
            reading.report(f"{file}: [{section}] {key}", f"unknown key{hint}")


def _read_secret_files(environ: Mapping[str, str], reading: _Reading) -> None:
    folder = Path(environ.get("GATE_SECRETS_DIR") or "/run/secrets")
    try:
        variables = sorted(filter(_is_ours, os.listdir(folder)))
    except FileNotFoundError:
        return
    except OSError as error:
        reading.report(f"secret files: {folder}", f"cannot be read ({_reason(error)})")
        return
    for variable in variables:
        if variable not in environ or variable not in _VARIABLES:
            file = folder / variable
            reading.override(variable, f"secret file: {file}", partial(_secret, file))


def _is_ours(variable: str) -> bool:
    return variable.startswith("GATE_") and "__" in variable


def _place(name: str) -> str:
    section, _, key = name.partition(".")
    return f"[{section}] {key}"


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _nearest(word: str, section: str = "") -> str:
    """A hint at what an unknown section, or an unknown key of `section`, may mean."""
    known = {name: f"[{name}]" for name in _SECTIONS}
    if section:
        known = {key: f"[{section}] {key}" for key in _SECTIONS[section].model_fields}
    owners = [_place(name) for name in _TYPES if name.endswith(f".{word}")]
    return _did_you_mean(owners or [known[name] for name in get_close_matches(word, known, 1)])


def _did_you_mean(names: list[str]) -> str:
    return f"; did you mean {' or '.join(names)}?" if names else ""


def _text(file: Path, regular: bool = True) -> str:
    """The text of a file. Raises ValueError with words for the report."""
    try:
        if not regular or stat.S_ISREG(file.stat().st_mode):
            return file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ValueError(f"cannot be read ({_reason(error)})") from None
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8 text; save it as UTF-8") from None
    raise ValueError("is not a regular file")


def _toml(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("is not valid TOML: nested too deep") from None
    except ValueError as error:
        end = f"at line {len(text.splitlines())}, the end of the file"
        what = str(error).replace("at end of document", end)
        raise ValueError(f"is not valid TOML: {what}") from None


def _secret(file: Path) -> str:
    return _text(file).rstrip("\r\n")


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()


def _parsed(text: str, kind: Any) -> object:
    """`text` as a value of the type `kind`. Raises ValueError with words for the report."""
    if re.search("[\ud800-\udfff]", text):
        raise ValueError("is not UTF-8 text")
    if get_origin(kind) is dict:
        return _json(text, 'must be a JSON table of texts, as {"X-Name": "…"}')
    if get_origin(kind) is tuple:
        if text.lstrip().startswith("["):
            return _json(text, 'must be a JSON list, as ["…", "…"], or separated by commas')
        return [entry.strip() for entry in text.split(",") if entry.strip()]
    if kind is bool:
        known = {"true": True, "1": True, "false": False, "0": False}
        if text.strip().lower() not in known:
            raise ValueError("must be true or false")
        return known[text.strip().lower()]
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            raise ValueError(f"must be a {'whole ' if kind is int else ''}number") from None
    return text


def _json(text: str, wanted: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(wanted) from None


def _said(detail: ErrorDetails) -> str:
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


def _unavailable(settings: Settings) -> Iterator[_Finding]:
    """What the contract names and this version cannot do yet: each line goes with its feature."""
    later = "is not available in this version"
    if (preset := settings.verify.preset) != "boolean":
        yield f'preset "{preset}" {later}; use "boolean"', "verify.preset"
    if settings.cache.shared_url:
        yield f"a shared cache {later}; leave it empty", "cache.shared_url"
    if settings.server.workers > 1:
        yield f"more than one worker {later}; use 1", "server.workers"
    if urlsplit(settings.server.public_url).path:
        yield f"a path in public_url {later}; end it after host and port", "server.public_url"


def _conflicts(settings: Settings) -> Iterator[_Finding]:
    """Keys that contradict each other."""
    server, verify, intake = settings.server, settings.verify, settings.intake
    if verify.token_in in ("form", "json") and verify.method != "POST":
        what = f'"{verify.token_in}" needs a request with a body; set method = "POST"'
        yield what, "verify.token_in", "verify.method"
    taken = verify.token_name.lower() in (name.lower() for name in verify.headers)
    if verify.token_in == "header" and taken:
        what = "has the header that is to carry the token; remove it, or change token_name"
        yield what, "verify.headers", "verify.token_in", "verify.token_name"
    if verify.client_key and not verify.client_certificate:
        what = "is no use without client_certificate; set both"
        yield what, "verify.client_key", "verify.client_certificate"
    if bool(server.tls_certificate) != bool(server.tls_key):
        names = ("server.tls_certificate", "server.tls_key")
        what = "is no use alone: set both tls_certificate and tls_key, or none"
        yield what, *(names if server.tls_certificate else reversed(names))
    if settings.cache.shared_url and not settings.session.keys:
        what = "must hold a key where cache.shared_url is set; `gate new-key` prints one"
        yield what, "session.keys", "cache.shared_url"
    if not (intake.query or intake.form or intake.bearer):
        what = "is off, and so are form and bearer: nobody could bring a token; turn one on"
        yield what, "intake.query", "intake.form", "intake.bearer"


def _on_disk(settings: Settings) -> Iterator[_Finding]:
    """What the settings point at and is missing, unreadable or of the wrong kind."""
    for what in _site_problems(settings.site.root):
        yield what, "site.root"
    server, verify = settings.server, settings.verify
    files = {
        "server.tls_certificate": server.tls_certificate,
        "server.tls_key": server.tls_key,
        "verify.ca_file": verify.ca_file,
        "verify.client_certificate": verify.client_certificate,
        "verify.client_key": verify.client_key,
    }
    for name, file in files.items():
        if file and (problem := _file_problem(file)):
            yield f'"{file}" {problem}', name
    if os.path.lexists(server.state_dir) and not os.path.isdir(server.state_dir):
        yield f'"{server.state_dir}" is no folder; name another', "server.state_dir"
    else:
        yield from _key_findings(settings.session, server.state_dir)


def _key_findings(session: SessionSettings, state_dir: Path) -> Iterator[_Finding]:
    made = state_dir / "session.key"
    if session.key_file:
        # Its path is not repeated: it may be the key itself, put into the wrong setting.
        for what in _key_file_problems(session.key_file):
            yield what, "session.key_file"
    elif not session.keys and os.path.lexists(made):
        for what in _key_file_problems(made):
            yield f'"{made}" {what}', "session.key_file", "session.keys", "server.state_dir"
    elif not session.keys and not _can_be_written(state_dir):
        what = f'"{state_dir}" cannot be written, and the session key is to be kept there'
        yield f"{what}; make it writable, or set session.keys", "server.state_dir", "session.keys"


def _site_problems(root: Path) -> Iterator[str]:
    try:
        entries = os.listdir(root)
    except OSError as error:
        yield f'"{root}" cannot be read ({_reason(error)}); name the folder of the built site'
        return
    if "-" in entries:
        yield f'"{root}" has an entry named "-", where the gate has its own pages; rename it'
    if "index.html" not in entries:
        yield f'"{root}" has no index.html; build the site, or name the folder that holds it'
    elif problem := _file_problem(root / "index.html"):
        yield f'"{root}": its index.html {problem}'


def _file_problem(file: Path) -> str | None:
    try:
        if not stat.S_ISREG(file.stat().st_mode):
            return "is not a regular file; name another"
        with file.open("rb"):
            return None
    except OSError as error:
        return f"cannot be read ({_reason(error)}); name a file that this user can read"


def _key_file_problems(file: Path) -> Iterator[str]:
    if problem := _file_problem(file):
        yield problem
        return
    if os.name == "posix" and file.stat().st_mode & 0o007:
        yield "is open to every user of this machine; chmod o-rwx"
    lines = [line.strip() for line in file.read_text("utf-8", "replace").split("\n")]
    keys = {n: line for n, line in enumerate(lines, 1) if line and not line.startswith("#")}
    if not keys:
        yield "holds no key; `gate new-key` prints one"
    for number, key in keys.items():
        if problem := key_problem(key):
            yield f"has a bad key at line {number}: {problem}"


def _can_be_written(folder: Path) -> bool:
    there = next(parent for parent in (folder, *folder.parents) if os.path.lexists(parent))
    return os.access(there, os.W_OK | os.X_OK)
