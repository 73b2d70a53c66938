"""Who is measured: the gate by both doors, and everybody else who can do something like its job."""

import contextlib
import importlib.util
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from bench import bare, caddy, nginx, scripts
from bench.gates import running_gate
from bench.names import BARE, CADDY, FLASK, GATE, NGINX, SLOW_DOOR, STRAIGHTFORWARD
from bench.scenarios import Scenario
from bench.servers import (
    CHECKOUT,
    Absent,
    Answer,
    BenchProblem,
    ask,
    free_port,
    python,
    running,
)
from bench.stage import Contender, Stage, sign_one_out


@dataclass(slots=True)
class Field:
    """Those who run, and why others do not."""

    running: list[Contender]
    absent: dict[str, str] = field(default_factory=dict)


@contextlib.contextmanager
def gate(
    stage: Stage, verify_url: str, *, name: str = GATE, checkout: Path = CHECKOUT, more: str = ""
) -> Iterator[Contender]:
    """`gate serve` of a checkout, with the settings that it comes with and `more` of [server]."""
    verify = f'url = "{verify_url}"\nactive = "/active"'
    if stage.tls is not None:
        more += f'\ntls_certificate = "{stage.tls.certificate}"\ntls_key = "{stage.tls.key}"'
    with running_gate(
        stage.folder, stage.site, stage.cores, verify, server_more=more, checkout=checkout
    ) as server:
        with contextlib.closing(stage.connection(server)) as connection:
            sign_one_out(connection)
        yield stage.signed_in(name, server)


@contextlib.contextmanager
def straightforward(stage: Stage, verify_url: str) -> Iterator[Contender]:
    """The first version that aiohttp's own parts make."""
    port = free_port()
    command = python("bench.straightforward", str(port), str(stage.site), verify_url)
    with running(command, port, folder=stage.folder, cores=stage.cores) as server:
        yield stage.signed_in(STRAIGHTFORWARD, server)


@contextlib.contextmanager
def flask(stage: Stage, verify_url: str) -> Iterator[Contender]:
    """The first sketch, under gunicorn."""
    if not all(map(importlib.util.find_spec, ("flask", "gunicorn"))):
        raise Absent("not installed: pip install --group bench")
    port = free_port()
    command = python(
        "gunicorn",
        *("--bind", f"127.0.0.1:{port}", "--worker-class", "gthread", "--threads", "8"),
        *("--worker-connections", "4096", "--keep-alive", "75", "--access-logfile", "-"),
        *("--backlog", "4096", "--no-control-socket"),
        f"bench.sketch:make_app({str(stage.site)!r}, {verify_url!r})",
    )
    with running(command, port, folder=stage.folder, cores=stage.cores) as server:
        yield stage.signed_in(FLASK, server)


@contextlib.contextmanager
def nginx_like(stage: Stage, verify_url: str, model: Contender) -> Iterator[Contender]:
    """nginx `auth_request`; its readers' cookies are their tokens."""
    port = free_port()
    command = nginx.prepare(
        stage.folder, stage.compressed, port, verify_url, _headers(model), stage.tls
    )
    with running(command, port, folder=stage.folder, cores=stage.cores) as server:
        yield stage.signed_in(NGINX, server)


@contextlib.contextmanager
def caddy_like(stage: Stage, verify_url: str, model: Contender) -> Iterator[Contender]:
    """Caddy `forward_auth`; its readers' cookies are their tokens."""
    port = free_port()
    command = caddy.prepare(
        stage.folder, stage.compressed, port, verify_url, _headers(model), stage.tls
    )
    with running(command, port, folder=stage.folder, cores=stage.cores) as server:
        yield stage.signed_in(CADDY, server)


def _headers(model: Contender) -> dict[str, str]:
    return next(iter(model.answers.values()))[0].headers


@contextlib.contextmanager
def bare_like(stage: Stage, model: Contender) -> Iterator[Contender]:
    """The fixed answers of `model`, at paths of their own."""
    port = free_port()
    file = stage.folder / f"{port}.json"
    taking_part = [each for each in stage.scenarios if not each.cold]
    fixed = {
        f"/{each.slug}/{place}": answer
        for each in taking_part
        for place, answer in enumerate(model.answers[each.name])
    }
    bare.save(fixed, file)
    written, answers, requests = {}, {}, {}
    command = python("bench.bare", str(port), str(file))
    with running(command, port, folder=stage.folder, cores=stage.cores) as server:
        for each in taking_part:
            asked = [
                (f"/{each.slug}/{place}", _condition(each, answer) | headers)
                for place, ((_, headers), answer) in enumerate(
                    zip(each.asked, model.answers[each.name], strict=True)
                )
            ]
            with contextlib.closing(stage.connection(server)) as connection:
                answers[each.name] = [ask(connection, *one) for one in asked]
            written[each.name] = stage.folder / f"{port}-{each.slug}.lua"
            cookies = model.scripts[each.name].with_suffix(".cookies").read_text("ascii").split()
            scripts.write_reading(written[each.name], asked, cookies)
            requests[each.name] = scripts.request(*asked[0], cookies[0])
        contender = Contender(BARE, server, written, False, answers, requests)
        _must_match(contender, model)
        yield contender


def _condition(scenario: Scenario, answer: Answer) -> dict[str, str]:
    return {"If-None-Match": answer.header("ETag")} if scenario.conditional else {}


def _must_match(contender: Contender, model: Contender) -> None:
    for name, answers in contender.answers.items():
        for answer, wanted in zip(answers, model.answers[name], strict=True):
            ours, theirs = ({**one.headers, "Date": ""} for one in (answer, wanted))
            if (answer.status, answer.body, ours) != (wanted.status, wanted.body, theirs):
                raise BenchProblem(f"{contender.name} and {model.name} differ in {name}")


@contextlib.contextmanager
def everybody(stage: Stage, beside: Sequence[Path]) -> Iterator[Field]:
    """All of them, running; `beside` are other checkouts of the gate."""
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(stage.verify_api())
        model = stack.enter_context(gate(stage, url))
        slow = gate(stage, url, name=SLOW_DOOR, more="fast_door = false")
        found = Field([model, stack.enter_context(slow)])
        for checkout in beside:
            other = gate(stage, url, name=checkout.name, checkout=checkout)
            found.running.append(stack.enter_context(other))
        enter(stack, found, BARE, bare_like(stage, model))
        enter(stack, found, NGINX, nginx_like(stage, url, model))
        enter(stack, found, CADDY, caddy_like(stage, url, model))
        enter(stack, found, STRAIGHTFORWARD, straightforward(stage, url))
        enter(stack, found, FLASK, flask(stage, url))
        yield found


def enter(
    stack: contextlib.ExitStack,
    found: Field,
    name: str,
    contender: AbstractContextManager[Contender],
) -> None:
    """Start one more; what is not on this machine is told, and stops nobody."""
    try:
        found.running.append(stack.enter_context(contender))
    except Absent as problem:
        found.absent[name] = str(problem)


@contextlib.contextmanager
def over_tls(stage: Stage) -> Iterator[Field]:
    """Those who speak https to readers by themselves."""
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(stage.verify_api())
        model = stack.enter_context(gate(stage, url))
        found = Field([model])
        enter(stack, found, NGINX, nginx_like(stage, url, model))
        enter(stack, found, CADDY, caddy_like(stage, url, model))
        yield found
