"""Pages that must get nothing, in Chromium: strangers who frame the shell, speak to it or to the
element, and whoever has copied an address."""

from collections.abc import Iterator
from typing import Any, Final

import pytest
from playwright.sync_api import Page, expect

from tests.chromium import OpenPage
from tests.portals import STYLE, Embedding, element, embedding


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedding]:
    with embedding(tmp_path_factory.mktemp("attacks")) as sites:
        yield sites


SPY: Final = """<script>
  var heard = [];
  addEventListener("message", ({ data, ports }) => {
    heard.push(data);
    if (ports[0]) ports[0].onmessage = (event) => heard.push(event.data);
  });
</script>"""

# sends what a shell or a portal would, with a port of its own, and notes what comes back
FORGE: Final = """<script>
  var heard = [];
  var forge = (target, message) => {
    const channel = new MessageChannel();
    channel.port1.onmessage = ({ data }) => heard.push(data);
    target.postMessage({ docsGate: 1, ...message }, "*", [channel.port2]);
    channel.port1.postMessage({ docsGate: 1, ...message });
    channel.port1.postMessage({ docsGate: 1, type: "need-token" });
  };
</script>"""


def test_a_stranger_can_neither_frame_the_shell_nor_hear_it(page: Page, sites: Embedding) -> None:
    html = SPY + STYLE + f'<iframe src="{sites.gate}/-/frame"></iframe>'
    page.goto(sites.stranger.page(html))
    frame = page.frames[1]
    frame.wait_for_load_state()
    assert frame.url.startswith("chrome-error:")
    assert page.evaluate("heard") == []


def test_the_element_on_a_strangers_page_asks_for_nothing(page: Page, sites: Embedding) -> None:
    page.goto(sites.stranger.page(element(sites.gate)))
    error = page.wait_for_function("heard.find(([name]) => name === 'error')").json_value()
    assert error[1]["code"] == "silent"
    assert sites.stranger.asked == 0


def test_a_stranger_around_the_portal_gets_no_shell_either(page: Page, sites: Embedding) -> None:
    before = sites.portal.asked
    page.goto(sites.stranger.page(f'<iframe src="{sites.element()}"></iframe>'))
    portal = page.frames[1]
    portal.wait_for_function("heard.some(([name]) => name === 'error')")
    assert portal.evaluate("heard.map(([name, { code }]) => code)") == ["silent"]
    assert sites.portal.asked == before


def test_a_stranger_beside_the_element_gets_no_token_by_posing_as_the_shell(
    page: Page, sites: Embedding
) -> None:
    html = element(sites.gate) + f'<iframe src="{sites.stranger.page(FORGE)}"></iframe>'
    page.goto(sites.portal.page(html))
    page.wait_for_function("heard.some(([name]) => name === 'ready')")
    asked = sites.portal.asked
    sibling = next(each for each in page.frames if each.url.startswith(sites.stranger.origin))
    sibling.evaluate("forge(parent, { type: 'hello' })")
    nothing_more(page)
    assert sibling.evaluate("heard") == []
    assert sites.portal.asked == asked


def test_a_stranger_beside_the_element_cannot_pose_as_the_portal(
    page: Page, sites: Embedding
) -> None:
    """Before the true portal has spoken, and after."""
    html = (
        STYLE + f'<iframe src="{sites.gate}/-/frame"></iframe>'
        f'<iframe src="{sites.stranger.page(FORGE)}"></iframe>' + SPY
    )
    page.goto(sites.portal.page(html))
    page.wait_for_function("heard.length === 1")
    shell = next(each for each in page.frames if each.url == sites.gate + "/-/frame")
    sibling = next(each for each in page.frames if each.url.startswith(sites.stranger.origin))
    for message in ("welcome", "token", "navigate", "sign-out"):
        sibling.evaluate(
            "type => forge(parent.frames[0], { type, path: '/', token: 'planted' })", message
        )
    nothing_more(page)
    assert sibling.evaluate("heard") == []
    assert page.evaluate("heard.map(({ type }) => type)") == ["hello"]
    expect(shell.locator("main:visible h1")).to_have_text("One moment")


def test_a_second_port_is_not_heard_beside_the_first(page: Page, sites: Embedding) -> None:
    """A page that the portal was replaced by, or that kept a port, cannot take over."""
    page.goto(sites.element())
    page.wait_for_function("heard.some(([name]) => name === 'ready')")
    shell = page.frames[1]
    assert shell.evaluate(
        "() => { const before = port; const { port1 } = new MessageChannel();"
        " hear(port1, { docsGate: 1, type: 'welcome', path: '/settings/' });"
        " hear(port1, { docsGate: 1, type: 'sign-out' }); return port === before && !over }"
    )


def test_a_page_of_the_gate_that_is_not_the_elements_frame_gets_no_token(
    page: Page, sites: Embedding
) -> None:
    html = element(sites.gate) + f'<iframe src="{sites.gate}/?token=TOKEN"></iframe>'
    page.goto(sites.portal.page(html))
    page.wait_for_function("heard.some(([name]) => name === 'ready')")
    asked = sites.portal.asked
    for frame in page.frames[2:]:  # the page in the shell, and the one beside it
        assert frame.url.startswith(sites.gate)
        script = FORGE.removeprefix("<script>").removesuffix("</script>")
        # past the site's policy, as a script of the site itself would be
        frame.evaluate(f"() => {{ {script}; Object.assign(window, {{ heard, forge }}) }}")
        frame.evaluate("forge(top, { type: 'hello' })")
        nothing_more(page)
        assert frame.evaluate("heard") == []
    assert sites.portal.asked == asked


def nothing_more(page: Page) -> None:
    """Once every message that is under way has arrived: one sent later has come back."""
    page.evaluate(
        "() => new Promise((resolve) => { const { port1, port2 } = new MessageChannel();"
        " port1.onmessage = () => setTimeout(resolve, 100); port2.postMessage(0) })"
    )


def test_a_copied_path_is_of_no_use_elsewhere(open_page: OpenPage, sites: Embedding) -> None:
    page = open_page("all blocked")
    page.goto(sites.element(sites.cookieless))
    page.wait_for_function("heard.some(([name]) => name === 'ready')")
    copied = page.frames[2].url
    assert "/-/s/" in copied
    image = copied + "assets/logo.svg"
    for portal in (sites.portal, sites.stranger):
        page.goto(
            portal.page(
                f'{STYLE}<iframe src="{copied}"></iframe><script>var loads = {{}};</script>'
                f'<img src="{image}" onload="loads.image = true" onerror="loads.image = false">'
                f'<script src="{copied}search/search_index.json" onload="loads.script = true"'
                ' onerror="loads.script = false"></script>'
                f"<script>fetch('{copied}').then(() => loads.fetch = true,"
                " () => loads.fetch = false)</script>"
            )
        )
        page.wait_for_function("Object.keys(loads).length === 3")
        assert page.evaluate("loads") == {"image": False, "script": False, "fetch": False}
        expect(page.frames[1].locator(".md-content")).to_have_count(0)
    page.goto(copied)
    expect(page.locator("h1")).to_have_text("Please come in through the portal")
    assert "/-/s/" not in str(sites.log.paths())


def test_no_part_of_the_site_loads_into_the_portal(page: Page, sites: Embedding) -> None:
    page.goto(sites.element())
    page.wait_for_function("heard.some(([name]) => name === 'ready')")
    loads: dict[str, Any] = page.evaluate(
        """async (gate) => {
          const image = new Image();
          const shown = new Promise((resolve) => {
            image.onload = () => resolve(true);
            image.onerror = () => resolve(false);
          });
          image.src = gate + "/assets/logo.svg";
          const options = { credentials: "include" };
          const read = await fetch(gate + "/", options).then(() => true, () => false);
          return { shown: await shown, read };
        }""",
        sites.gate,
    )
    assert loads == {"shown": False, "read": False}
