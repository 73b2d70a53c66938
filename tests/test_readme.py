"""The README: its snippets do what it says, its commands exist, its links lead somewhere."""

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import create_server
from typing import Final
from urllib.parse import quote

from playwright.sync_api import expect, sync_playwright

from gate.config import load as config
from gate.config.settings import Settings, VerifySettings
from gate.tokens import parse
from gate.verify.api import ApiVerifier
from tests.browsers import (
    CHROMIUM,
    Log,
    any_page,
    chromium,
    frame_in,
    gate_app,
    handbook,
    program,
    served,
)
from tests.fakes import FakeClock

ROOT: Final = Path(__file__).parent.parent
README: Final = (ROOT / "README.md").read_text("utf-8")
PORTAL: Final = "https://portal.example.com"
DOCS: Final = "https://docs.example.com"


def snippet(language: str) -> str:
    """The one code block of a language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    return str(found)


@dataclass(frozen=True, slots=True)
class RunningApi:
    url: str
    token: str


@contextmanager
def verify_api(folder: Path) -> Iterator[RunningApi]:
    """The README's verify API as the program it is, on a free port; it prints a good token."""
    with create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    code = snippet("python")
    assert code.count("9000") == 1
    assert '"http://127.0.0.1:9000/"' in README
    file = folder / "verify_api.py"
    file.write_text(code.replace("9000", str(port)), "utf-8")
    with subprocess.Popen(
        [sys.executable, "-u", str(file)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            said = process.stdout.readline()
            assert said.startswith("a token to try: ")
            yield RunningApi(f"http://127.0.0.1:{port}/", said.split()[-1])
        finally:
            process.kill()


def loaded(folder: Path, **environ: str) -> Settings:
    """The README's configuration beside a built site, with variables that beat it."""
    handbook(folder, environ.get("GATE_SERVER__PUBLIC_URL", DOCS))
    (folder / "config.toml").write_text(snippet("toml"), "utf-8")
    return config.load(folder / "config.toml", {"GATE_SECRETS_DIR": str(folder), **environ})


def test_the_configuration_loads_as_it_is(tmp_path: Path) -> None:
    settings = loaded(tmp_path)
    assert settings.site.root == tmp_path / "site"
    assert settings.verify.url.startswith(PORTAL)
    assert settings.frame.allowed_origins == (PORTAL,)
    assert settings.server.public_url == DOCS


def test_the_verify_api_says_yes_and_no(tmp_path: Path) -> None:
    async def ask(settings: VerifySettings, *texts: str) -> list[bool]:
        async with ApiVerifier(settings) as verifier:
            tokens = [token for text in texts if (token := parse(text))]
            return [(await verifier.verify(token)).active for token in tokens]

    with verify_api(tmp_path) as api:
        settings = loaded(tmp_path, GATE_VERIFY__URL=api.url)
        verdicts = asyncio.run(ask(settings.verify, api.token, "another", api.token[:-1]))
    assert verdicts == [True, False, False]


def test_the_three_snippets_together_show_the_site_in_a_frame(tmp_path: Path) -> None:
    program(*CHROMIUM)
    listeners = [create_server(("127.0.0.1", 0)) for _ in range(2)]
    docs, portal = (
        f"http://{host}:{listener.getsockname()[1]}"
        for host, listener in zip(("127.0.0.1", "localhost"), listeners, strict=True)
    )
    with verify_api(tmp_path) as api:
        settings = loaded(
            tmp_path,
            GATE_VERIFY__URL=api.url,
            GATE_FRAME__ALLOWED_ORIGINS=portal,
            GATE_SERVER__PUBLIC_URL=docs,
        )
        gate = gate_app(settings, FakeClock(), Log())
        html = snippet("html").replace(DOCS, docs).replace("TOKEN", api.token)
        with (
            served([(gate, listeners[0]), (any_page(), listeners[1])]),
            sync_playwright() as playwright,
            chromium(playwright, tmp_path / "profile", "third-party blocked") as browser,
        ):
            page = browser.new_page()
            page.goto(f"{portal}/?html={quote(html)}")
            expect(frame_in(page).locator("h1")).to_contain_text("Docs Gate")


def test_the_commands_exist() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = re.findall(r"\bmake (\w+)", README)
    assert targets == ["demo", "test"]
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)
    help_text = subprocess.run(
        [sys.executable, "-m", "gate", "--help"], capture_output=True, text=True, check=True
    ).stdout
    commands = set(re.findall(r"(?:`|^)gate ([\w-]+)", README, re.MULTILINE))
    assert commands == {"check", "demo", "serve"}
    assert all(command in help_text for command in commands)


def test_the_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)]+)\)", README)
    assert {link for link in links if link.startswith("docs/")} == {
        "docs/assets/demo.png",
        *(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md") if page.stem != "index"),
    }
    assert not [link for link in links if "://" not in link and not (ROOT / link).is_file()]


def test_the_screenshot_is_a_picture_of_bearable_size() -> None:
    picture = ROOT / "docs" / "assets" / "demo.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size < 300_000
