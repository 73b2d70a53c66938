"""`gate demo` as a process: both servers, a reader's way through the portal, its end."""

import re
import socket
from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path
from signal import SIGINT

import aiohttp
import pytest

from tests.processes import Process, free_ports, gate_process, run_gate

FRAMED = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe", "Sec-Fetch-Site": "cross-site"}


class Demo:
    """A running demo and a browser of sorts: what the portal's pages say is done by hand."""

    def __init__(self, process: Process, ports: list[int], client: aiohttp.ClientSession) -> None:
        self.process = process
        self.docs = f"http://127.0.0.1:{ports[0]}"
        self.portal = f"http://localhost:{ports[1]}"
        self._client = client

    async def ask(
        self, url: str, headers: dict[str, str] | None = None, form: dict[str, str] | None = None
    ) -> aiohttp.ClientResponse:
        """A response, its body read; redirects are not followed."""
        method = "GET" if form is None else "POST"
        response = await self._client.request(
            method, url, data=form, headers=headers, allow_redirects=False
        )
        await response.read()
        return response

    async def page_of(self, person: str, path: str) -> str:
        """A page of the portal, after signing in."""
        answer = await self.ask(f"{self.portal}/sign-in", form={"person": person})
        visit = answer.headers["Set-Cookie"].partition(";")[0]
        return await (await self.ask(f"{self.portal}{path}", {"Cookie": visit})).text()

    async def framed(self, page: str) -> aiohttp.ClientResponse:
        """What the frame in a portal page asks for."""
        (source,) = re.findall(r'<iframe[^>]* src="([^"]+)"', page)
        return await self.ask(unescape(source), {**FRAMED, "Referer": f"{self.portal}/"})

    async def sent(self, page: str) -> aiohttp.ClientResponse:
        """What the form in a portal page sends."""
        (action,) = re.findall(r'<form[^>]* action="([^"]+/-/session)"', page)
        fields = re.findall(r'<input[^>]* name="(\w+)"[^>]* value="([^"]*)"', page)
        assert action.startswith(self.docs)
        return await self.ask(action, {"Origin": self.portal}, dict(fields))


def told_to_people(lines: str) -> list[str]:
    """Status and outcome of every line, each of which must have its form."""
    form = re.compile(r"\d\d:\d\d:\d\d  (\d+)  (\w+) +(?:GET|POST) +/\S*  \d+\.\d ms\b.*")
    found = [form.fullmatch(line) for line in lines.splitlines()]
    return [f"{line[1]} {line[2]}" if line else "?" for line in found]


@pytest.fixture
async def demo(tmp_path: Path) -> AsyncIterator[Demo]:
    ports = free_ports(2)
    arguments = ("demo", "--port", str(ports[0]), "--portal-port", str(ports[1]))
    async with (
        gate_process(*arguments, cwd=tmp_path) as process,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as client,
    ):
        await process.said("Ctrl-C ends everything", where="out")
        yield Demo(process, ports, client)


async def test_a_reader_gets_from_the_portal_to_the_docs_and_ctrl_c_ends_it(
    demo: Demo, tmp_path: Path
) -> None:
    assert f"  {demo.portal}\n" in demo.process.out
    assert f"  {demo.docs}   (closed: 401)\n" in demo.process.out
    assert (await demo.ask(f"{demo.docs}/")).status == 401

    entered = await demo.framed(await demo.page_of("colleague", "/docs-frame"))
    assert entered.status == 303
    cookie = entered.headers["Set-Cookie"].partition(";")[0]
    page = await demo.ask(f"{demo.docs}{entered.headers['Location']}", {"Cookie": cookie})
    assert page.status == 200
    assert f"frame-ancestors {demo.portal} 'self'" in page.headers["Content-Security-Policy"]
    assert (await demo.sent(await demo.page_of("colleague", "/docs-form"))).status == 303
    assert (await demo.framed(await demo.page_of("former-colleague", "/docs-frame"))).status == 401

    assert await demo.process.stop(SIGINT) == 0
    assert demo.process.err == ""
    assert told_to_people(demo.process.out.partition("ends everything.\n\n")[2]) == [
        "401 no_token",
        "303 intake",
        "200 allowed",
        "303 intake",
        "401 refused",
    ]
    assert "token=" not in demo.process.out
    assert list(tmp_path.iterdir()) == []  # noqa: ASYNC240 - nobody waits


@pytest.mark.parametrize("option", ["--port", "--portal-port"])
async def test_a_taken_port_is_named_with_the_option_that_chooses_another(
    tmp_path: Path, option: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        ports = dict.fromkeys(("--port", "--portal-port"), free_ports(1)[0]) | {option: taken}
        arguments = (str(each) for pair in ports.items() for each in pair)
        code, out, err = await run_gate("demo", *arguments, cwd=tmp_path)
    problem = f"port {taken} on 127.0.0.1 is taken by another program: change {option}"
    assert (code, out, err) == (1, "", f"gate: {problem}\n")
