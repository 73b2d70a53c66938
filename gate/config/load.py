"""The configuration: config.toml, secret files and the environment become frozen settings.

Reads and judges, and writes nothing. Every problem of every kind is gathered before any is
reported; each names its place and the cure, never a value, because any value may be secret.
"""

import os
import stat
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from gate.config.findings import reason
from gate.config.section import Section, said
from gate.config.settings import Settings
from gate.config.soundness import findings
from gate.config.spelling import parsed


def _sections(model: type[BaseModel], within: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """The sections of a model, each before those inside it, which are named as TOML names them."""
    for name, info in model.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            yield within + name, kind
            yield from _sections(kind, f"{within}{name}.")


_SECTIONS: Final = dict(_sections(Settings))
_KEYS: Final = {
    section: [key for key in model.model_fields if f"{section}.{key}" not in _SECTIONS]
    for section, model in _SECTIONS.items()
}
_TYPES: Final[dict[str, Any]] = {  # of every key, as "section.key"
    f"{section}.{key}": model.model_fields[key].annotation
    for section, model in _SECTIONS.items()
    for key in _KEYS[section]
}
_VARIABLES: Final = {f"GATE_{name.replace('.', '__')}".upper(): name for name in _TYPES}
_UNUSABLE: Final = object()  # a value that is given, and already reported as wrong


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


def load(path: Path | None, environ: Mapping[str, str], *, disk: bool = True) -> Settings:
    """The settings from `path` (else $GATE_CONFIG, else config.toml here) and what overrides it.

    A variable of `environ` beats a secret file, which beats the config file. Relative paths in
    the config file, and the defaults, start at its folder; those in variables and secret files,
    and all where there is no config file, at the working directory. Without `disk`, nobody looks
    whether the files that settings name are there. Raises `ConfigError`.
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
    settings = reading.settings(disk=disk)
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
            value = parsed(read(), _TYPES[name])
        except ValueError as error:
            self.report(where, str(error))
        self._given[name] = _Given(value, where, Path.cwd())

    def settings(self, *, disk: bool) -> Settings:
        """The settings, complete only if there are no `problems` afterwards.

        A key with a problem takes its default, so that all else can still be judged; findings
        that touch such a key are left out, since they may only follow from it.
        """
        bad = {name for name, given in self._given.items() if given.value is _UNUSABLE}
        sections = {name: self._section(name, bad) for name in _SECTIONS}
        for name in reversed(_SECTIONS):  # those inside others first
            outer, _, inner = name.rpartition(".")
            if outer:
                within = {inner: sections.pop(name)}
                sections[outer] = sections[outer].model_copy(update=within)
        settings = Settings.model_validate(sections)
        for what, *names in findings(settings, disk=disk):
            if bad.isdisjoint(names):
                self.report(self._where(names[0]), what)
        return settings

    def _section(self, section: str, bad: set[str]) -> BaseModel:
        model = _SECTIONS[section]
        names = {key: f"{section}.{key}" for key in _KEYS[section]}
        given = {k: self._given[n].value for k, n in names.items() if n in self._given.keys() - bad}
        try:
            checked = model.model_validate(given)
        except ValidationError as error:
            wrong = [(names[str(d["loc"][0])], d) for d in error.errors(include_url=False)]
            for name, detail in wrong:
                if name not in bad:
                    self.report(self._where(name), said(detail))
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
        else:
            _read_section(file, section, table, reading)


def _read_section(file: Path, section: str, table: object, reading: _Reading) -> None:
    if isinstance(table, dict):
        _read_table(file, section, table, reading)
        return
    reading.report(f"{file}: {section}", f"must be a section, [{section}]")
    for name in _TYPES:
        if name.startswith(f"{section}."):
            reading.put(name, _UNUSABLE)


def _read_table(file: Path, section: str, table: Mapping[str, object], reading: _Reading) -> None:
    for key, value in table.items():
        name = f"{section}.{key}"
        if name in _TYPES:
            reading.put(name, value)
        elif name in _SECTIONS:
            _read_section(file, name, value, reading)
        else:
            reading.report(f"{file}: [{section}] {key}", f"unknown key{_nearest(key, section)}")


def _read_secret_files(environ: Mapping[str, str], reading: _Reading) -> None:
    folder = Path(environ.get("GATE_SECRETS_DIR") or "/run/secrets")
    try:
        variables = sorted(filter(_is_ours, os.listdir(folder)))
    except FileNotFoundError:
        return
    except OSError as error:
        reading.report(f"secret files: {folder}", f"cannot be read ({reason(error)})")
        return
    for variable in variables:
        if variable not in environ or variable not in _VARIABLES:
            file = folder / variable
            reading.override(variable, f"secret file: {file}", partial(_secret, file))


def _is_ours(variable: str) -> bool:
    return variable.startswith("GATE_") and "__" in variable


def _place(name: str) -> str:
    section, _, key = name.rpartition(".")
    return f"[{section}] {key}"


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _nearest(word: str, section: str = "") -> str:
    """A hint at what an unknown section, or an unknown key of `section`, may mean."""
    known = {name: f"[{name}]" for name in _SECTIONS}
    if section:
        known = {key: f"[{section}] {key}" for key in _KEYS[section]}
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
        raise ValueError(f"cannot be read ({reason(error)})") from None
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
        raise ValueError(f"is not valid TOML: {error}".replace("at end of document", end)) from None


def _secret(file: Path) -> str:
    return _text(file).rstrip("\r\n")
