"""What all contenders share, and how one of them is got ready: every reader signs in, every
scenario is asked once, so that a wrong answer is found before anything is measured.
"""

import contextlib
import http.client
import ssl
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench import scripts
from bench.chromium import HOST
from bench.machine import Cores, family
from bench.scenarios import READERS, Scenario
from bench.servers import Answer, BenchProblem, Server, Tls, ask, free_port, python, running

_PATIENCE = 30.0
"""Seconds for one answer, on a machine that does other work too."""

_TOKEN = "portal-token-of-reader-{:05d}"


@dataclass(slots=True)
class Contender:
    """A running server with a wrk script for every scenario that it takes part in."""

    name: str
    server: Server
    scripts: Mapping[str, Path]
    logs: bool
    answers: Mapping[str, Sequence[Answer]] = field(repr=False)
    """What it answered to each scenario when it was tried."""
    requests: Mapping[str, str] = field(repr=False)
    """The first request of each, byte for byte."""
    answered: int = 0
    """Requests that were measured: whoever logs must have logged them all."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What all contenders share."""

    folder: Path
    site: Path
    compressed: Path
    """The same site with compressed files."""
    cores: Cores
    scenarios: Sequence[Scenario]
    tls: Tls | None = None

    @contextlib.contextmanager
    def verify_api(self) -> Iterator[str]:
        """The URL of a verify API that says yes."""
        port = free_port()
        elsewhere = Cores(self.cores.load, self.cores.load)
        command = python("bench.verify_api", str(port))
        with running(command, port, folder=self.folder, cores=elsewhere):
            yield f"http://127.0.0.1:{port}/valid"

    def connection(self, server: Server) -> http.client.HTTPConnection:
        """To a server of this stage."""
        if self.tls is None:
            return http.client.HTTPConnection("127.0.0.1", server.port, timeout=_PATIENCE)
        context = ssl.create_default_context(cafile=self.tls.certificate)
        return http.client.HTTPSConnection(
            "127.0.0.1", server.port, timeout=_PATIENCE, context=context
        )

    def signed_in(self, name: str, server: Server) -> Contender:
        """The server with all readers signed in and all scenarios tried."""
        written, answers, requests = {}, {}, {}
        with contextlib.closing(self.connection(server)) as connection:
            most = max(each.readers for each in self.scenarios)
            cookies = [sign_in(connection, number) for number in range(most)]
            for cookie in cookies:  # who reads for the first time costs more than who reads on
                path, headers = self.scenarios[0].asked[0]
                ask(connection, path, {**headers, "Cookie": cookie})
            for each in self.scenarios:
                asked = [
                    (path, _with_condition(connection, each, path, headers, cookies[0]))
                    for path, headers in each.asked
                ]
                answers[each.name] = [
                    _tried(connection, each, path, {**headers, "Cookie": cookies[0]}, name)
                    for path, headers in asked
                ]
                requests[each.name] = scripts.request(*asked[0], cookies[0])
                file = written[each.name] = self.folder / f"{server.port}-{each.slug}.lua"
                if each.cold:
                    scripts.write_visits(file, asked[0])
                else:
                    scripts.write_reading(file, asked, cookies[: each.readers])
        server.processes = family(server.pid)
        return Contender(name, server, written, True, answers, requests)


def sign_in(connection: http.client.HTTPConnection, number: int) -> str:
    """Sign one reader in, as the portal's frame would: the cookie."""
    answer = ask(connection, f"/?token={_TOKEN.format(number)}", {"Host": HOST})
    cookie = answer.header("Set-Cookie").partition(";")[0]
    if answer.status != 303 or not cookie:
        raise BenchProblem(f"no sign-in: {answer}")
    return cookie


def sign_one_out(connection: http.client.HTTPConnection) -> None:
    """Somebody always has: from then on every decision of the gate looks at what was ended."""
    cookie = sign_in(connection, READERS)
    headers = {"Host": HOST, "Cookie": cookie, "Origin": f"https://{HOST}"}
    connection.request("POST", "/-/sign-out", headers=headers)
    response = connection.getresponse()
    response.read()
    if response.status != 303:
        raise BenchProblem(f"no sign-out: {response.status}")


def _with_condition(
    connection: http.client.HTTPConnection,
    scenario: Scenario,
    path: str,
    headers: Mapping[str, str],
    cookie: str,
) -> dict[str, str]:
    if not scenario.conditional:
        return dict(headers)
    etag = ask(connection, path, {**headers, "Cookie": cookie}).header("ETag")
    return {**headers, "If-None-Match": etag}


def _tried(
    connection: http.client.HTTPConnection,
    scenario: Scenario,
    path: str,
    headers: dict[str, str],
    name: str,
) -> Answer:
    answer = ask(connection, path, headers)
    if answer.status != scenario.status or bool(answer.body) == scenario.conditional:
        raise BenchProblem(f"{name} answers {answer.status} to {path} ({scenario.name})")
    stranger = {key: value for key, value in headers.items() if key != "Cookie"}
    if ask(connection, path, stranger).status != 401:
        raise BenchProblem(f"{name} lets strangers in")
    return answer
