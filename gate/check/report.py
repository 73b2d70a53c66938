"""What a check found, as lines for people.

Every note and problem has a name, by which it stands in the handbook's troubleshooting page.
"""

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field

WIDTH = 100
"""Columns. Words longer than that, addresses above all, are not broken."""

_INDENT = " " * 9


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One thing that may be found: its name, what is so, and what to do next.

    The texts may have fields in braces, which `with_facts` fills.
    """

    name: str
    what: str
    next_step: str

    def with_facts(self, facts: Mapping[str, str]) -> "Diagnosis":
        """The same with its fields filled. What is filled in is not looked through for fields."""
        return Diagnosis(self.name, self.what.format_map(facts), self.next_step.format_map(facts))


@dataclass(frozen=True, slots=True)
class Finding:
    """An entry of the report. `evidence` is what was seen; only notes and problems have a name."""

    kind: str
    what: str
    name: str = ""
    evidence: str = ""
    next_step: str = ""

    @property
    def text(self) -> str:
        """The entry as it is printed."""
        name = f"[{self.name}] " if self.name else ""
        lines = _wrapped(f"{name}{self.what}", f"{self.kind:<9}")
        if self.evidence:
            lines += _wrapped(self.evidence, _INDENT)
        if self.next_step:
            lines += _wrapped(f"next: {self.next_step}", _INDENT)
        return "\n".join(lines)


@dataclass(slots=True)
class Report:
    """All that was found, in order. `good` until a problem is among it."""

    findings: list[Finding] = field(default_factory=list)

    @property
    def problems(self) -> list[str]:
        """The names of the problems."""
        return [each.name for each in self.findings if each.kind == "PROBLEM"]

    @property
    def notes(self) -> list[str]:
        """The names of the notes."""
        return [each.name for each in self.findings if each.kind == "note"]

    @property
    def good(self) -> bool:
        """Whether there is no problem."""
        return not self.problems

    @property
    def text(self) -> str:
        """The whole report, its verdict last."""
        end = "everything that was checked works"
        if number := len(self.problems):
            end = f"{number} problem{'' if number == 1 else 's'} found; the handbook's page"
            end += " Troubleshooting explains each name in brackets"
        return "\n".join([*(each.text for each in self.findings), "", end])

    def say(self, what: str) -> None:
        """What comes next."""
        self.findings.append(Finding("asking", what))

    def fine(self, what: str, evidence: str = "") -> None:
        """Something works."""
        self.findings.append(Finding("ok", what, evidence=evidence))

    def note(self, found: Diagnosis, about: str = "", evidence: str = "") -> None:
        """Something may be meant, or not. `about` says of what the diagnosis speaks."""
        self._add("note", found, about, evidence)

    def problem(self, found: Diagnosis, about: str = "", evidence: str = "") -> None:
        """Something does not work."""
        self._add("PROBLEM", found, about, evidence)

    def _add(self, kind: str, found: Diagnosis, about: str, evidence: str) -> None:
        what = f"{about}: {found.what}" if about else found.what
        self.findings.append(Finding(kind, what, found.name, evidence, found.next_step))


def _wrapped(text: str, first: str) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=_INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )
