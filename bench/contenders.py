"""Who is measured: the gate, a bare application with the gate's answers, the straightforward way.

Each is started, signed in to by all readers, and asked every scenario once, so that a wrong answer
is found before anything is measured.
"""

import contextlib
import http.client
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench import bare, nginx
from bench.gates import running_gate
from bench.load import write_script
from bench.machine import Cores
from bench.scenarios import READERS, Scenario
from bench.servers import CHECKOUT, Answer, BenchProblem, Server, ask, free_port, python, running

GATE = "the gate"
BARE = "bare aiohttp"
STRAIGHTFORWARD = "straightforward"
NGINX = "nginx"


@dataclass(frozen=True, slots=True)
class Contender:
    """A running server with a wrk script for every scenario."""

    name: str
    server: Server
    scripts: Mapping[str, Path]
    logs: bool
    answers: Mapping[str, Answer] = field(repr=False)
    """What it answered to each scenario when it was tried."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What all contenders share."""

    folder: Path
    site: Path
    cores: Cores
    scenarios: Sequence[Scenario]

    @contextlib.contextmanager
    def verify_api(self) -> Iterator[str]:
        """The URL of a verify API that says yes."""
        port = free_port()
        elsewhere = Cores(self.cores.load, self.cores.load)
        command = python("bench.verify_api", str(port))
        with running(command, port, folder=self.folder, cores=elsewhere):
            yield f"http://127.0.0.1:{port}/valid"

    @contextlib.contextmanager
    def gate(self, verify_url: str, checkout: Path, name: str = GATE) -> Iterator[Contender]:
        """`gate serve` of a checkout, with settings as an operator would have them."""
        verify = f'url = "{verify_url}"\nactive = "/active"'
        with running_gate(self.folder, self.site, self.cores, verify, checkout=checkout) as server:
            _sign_one_out(server)
            yield self._signed_in(name, server)

    @contextlib.contextmanager
    def straightforward(self, verify_url: str) -> Iterator[Contender]:
        """The first version that aiohttp's own parts make."""
        port = free_port()
        command = python("bench.straightforward", str(port), str(self.site), verify_url)
        with running(command, port, folder=self.folder, cores=self.cores) as server:
            yield self._signed_in(STRAIGHTFORWARD, server)

    @contextlib.contextmanager
    def bare(self, model: Contender) -> Iterator[Contender]:
        """The fixed answers of `model`, asked for with its cookies; a path for each scenario."""
        port = free_port()
        file = self.folder / f"{port}.json"
        bare.save({f"/{each.slug}": model.answers[each.name] for each in self.scenarios}, file)
        command = python("bench.bare", str(port), str(file))
        with running(command, port, folder=self.folder, cores=self.cores) as server:
            scripts, answers = {}, {}
            with contextlib.closing(_connection(server)) as connection:
                for each in self.scenarios:
                    old = f"wrk.path = {json.dumps(each.path)}\n"
                    text = model.scripts[each.name].read_text("ascii")
                    assert text.startswith(old), "the script begins with the path"
                    scripts[each.name] = self.folder / f"{port}-{each.slug}.lua"
                    path = f"/{each.slug}"
                    scripts[each.name].write_text(f'wrk.path = "{path}"\n' + text[len(old) :])
                    answers[each.name] = ask(connection, path, each.headers)
            contender = Contender(BARE, server, scripts, False, answers)
            _must_match(contender, model)
            yield contender

    @contextlib.contextmanager
    def nginx(self, verify_url: str, model: Contender) -> Iterator[Contender]:
        """nginx `auth_request`; its readers' cookies are their tokens."""
        port = free_port()
        headers = next(iter(model.answers.values())).headers
        command = nginx.prepare(self.folder, self.site, port, verify_url, headers)
        with running(command, port, folder=self.folder, cores=self.cores) as server:
            cookies = [f"token=portal-token-of-reader-{number:05d}" for number in range(READERS)]
            yield self._signed_in(NGINX, server, cookies)

    def _signed_in(
        self, name: str, server: Server, cookies: Sequence[str] | None = None
    ) -> Contender:
        scripts, answers = {}, {}
        with contextlib.closing(_connection(server)) as connection:
            if cookies is None:
                cookies = [_cookie(connection, number) for number in range(READERS)]
            for each in self.scenarios:
                headers = {**each.headers, "Host": "docs.example.com"}
                asked = {**headers, "Cookie": cookies[0]}
                if each.conditional:
                    etag = ask(connection, each.path, asked).header("ETag")
                    headers["If-None-Match"] = asked["If-None-Match"] = etag
                answers[each.name] = _tried(connection, each, asked, name)
                scripts[each.name] = self.folder / f"{server.port}-{each.slug}.lua"
                write_script(scripts[each.name], each.path, headers, cookies[: each.readers])
        return Contender(name, server, scripts, True, answers)


def _connection(server: Server) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)


def _cookie(connection: http.client.HTTPConnection, number: int) -> str:
    """Sign one reader in, as the portal's frame would."""
    answer = ask(connection, f"/?token=portal-token-of-reader-{number:05d}", {})
    cookie = answer.header("Set-Cookie").partition(";")[0]
    if answer.status != 303 or not cookie:
        raise BenchProblem(f"no sign-in: {answer}")
    return cookie


def _sign_one_out(server: Server) -> None:
    """Somebody always has: from then on every decision looks at what was ended."""
    with contextlib.closing(_connection(server)) as connection:
        headers = {"Cookie": _cookie(connection, READERS), "Origin": "https://docs.example.com"}
        connection.request("POST", "/-/sign-out", headers=headers)
        response = connection.getresponse()
        response.read()
        if response.status != 303:
            raise BenchProblem(f"no sign-out: {response.status}")


def _tried(
    connection: http.client.HTTPConnection, scenario: Scenario, headers: dict[str, str], name: str
) -> Answer:
    answer = ask(connection, scenario.path, headers)
    if answer.status != scenario.status or bool(answer.body) == scenario.conditional:
        raise BenchProblem(f"{name} answers {answer.status} to {scenario.name}")
    stranger = {key: value for key, value in headers.items() if key != "Cookie"}
    if ask(connection, scenario.path, stranger).status != 401:
        raise BenchProblem(f"{name} lets strangers in")
    return answer


def _must_match(contender: Contender, model: Contender) -> None:
    for name, answer in contender.answers.items():
        wanted = model.answers[name]
        ours, theirs = ({**one.headers, "Date": ""} for one in (answer, wanted))
        if (answer.status, answer.body, ours) != (wanted.status, wanted.body, theirs):
            raise BenchProblem(f"{contender.name} and {model.name} differ in {name}")


@contextlib.contextmanager
def contenders(stage: Stage, beside: Sequence[Path]) -> Iterator[list[Contender]]:
    """All of them, running; `beside` are other checkouts of the gate."""
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(stage.verify_api())
        gate = stack.enter_context(stage.gate(url, CHECKOUT))
        found = [gate, stack.enter_context(stage.bare(gate))]
        for checkout in beside:
            found.append(stack.enter_context(stage.gate(url, checkout, checkout.name)))
        found.append(stack.enter_context(stage.nginx(url, gate)))
        found.append(stack.enter_context(stage.straightforward(url)))
        yield found
