"""Pages that must get nothing, in Chromium: strangers who frame the shell, speak to it or to the
element, and whoever has copied an address."""

from collections.abc import Iterator
from typing import Any, Final

import pytest
from playwright.sync_api import Frame, Page, expect

from tests.chromium import OpenPage
from tests.portals import STYLE, Embedding, element, embedding, hand_made


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

# sends what a shell or a portal would, with a port of its own, and notes what comes back before an
# echo does, and a second one: what the first message set off has then been sent. Ports keep order.
FORGING: Final = """
  var heard = [];
  var forge = (target, message) => new Promise((resolve, reject) => {
    const channel = new MessageChannel();
    const say = (each) => channel.port1.postMessage({ docsGate: 1, ...each });
    channel.port1.onmessage = ({ data }) => {
      if (data.echo === undefined) heard.push(data);
      else if (data.echo) say({ call: data.echo - 1 });
      else resolve();
    };
    target.postMessage({ docsGate: 1, ...message }, "*", [channel.port2]);
    for (const each of [message, { type: "need-token" }, { call: 1 }]) say(each);
    setTimeout(reject, 20000, "no echo");
  });
  // a port that somebody hands on
  var given = new Promise((resolve) => addEventListener("message", ({ data, ports }) => {
    if (data !== "yours") return;
    ports[0].onmessage = (event) => heard.push(event.data);
    resolve(ports[0]);
  }));
"""
FORGE: Final = f"<script>{FORGING}</script>"

# in the window that is spoken to, and after what listens there already
ECHO: Final = """() => {
  addEventListener("message", ({ ports: [port] }) => {
    port?.addEventListener("message", ({ data }) => {
      if (data.call !== undefined) port.postMessage({ echo: data.call });
    });
    port?.start();
  });
}"""

SAID_TO_THE_SHELL: Final = ("welcome", "token", "no-token", "navigate", "theme", "sign-out")


def stranger_in(page: Page, sites: Embedding) -> Frame:
    """The stranger's frame, once it has run its script."""
    page.wait_for_function("window.frames.length")
    (frame,) = (each for each in page.frames if each.url.startswith(sites.stranger.origin))
    frame.wait_for_function("typeof forge === 'function'")
    return frame


def times_asked(page: Page) -> int:
    """How often the element has been asked for a token: by the shell, once."""
    return int(page.evaluate("heard.filter(([name]) => name === 'need-token').length"))


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
    page.evaluate(ECHO)
    asked = sites.portal.asked
    sibling = stranger_in(page, sites)
    sibling.evaluate("forge(parent, { type: 'hello' })")
    assert sibling.evaluate("heard") == []
    assert times_asked(page) == 1
    assert sites.portal.asked == asked


def test_a_stranger_in_the_place_of_the_shell_gets_no_token(page: Page, sites: Embedding) -> None:
    """A second hello, out of the element's own frame: a script of the site leads it elsewhere."""
    page.goto(sites.element())
    page.wait_for_function("heard.some(([name]) => name === 'ready')")
    page.evaluate(ECHO)
    asked = sites.portal.asked
    shell, site = page.frames[1:]
    with page.expect_event("framenavigated", lambda frame: frame == shell):
        site.evaluate("address => { parent.location = address }", sites.stranger.page(FORGE))
    impostor = stranger_in(page, sites)
    assert impostor.evaluate("parent === top")
    impostor.evaluate("forge(parent, { type: 'hello' })")
    page.evaluate("docs.open('/settings/'), docs.signOut()")  # to whom the element holds a port
    impostor.evaluate("forge(parent, { type: 'hello' })")
    assert impostor.evaluate("heard") == []
    assert times_asked(page) == 1
    assert sites.portal.asked == asked


def test_a_stranger_beside_the_element_cannot_pose_as_the_portal(
    page: Page, sites: Embedding
) -> None:
    """Before the true portal has spoken, and after."""
    html = hand_made(sites.gate) + f'<iframe src="{sites.stranger.page(FORGE)}"></iframe>'
    page.goto(sites.portal.page(html))
    page.evaluate("hello")
    shell = next(each for each in page.frames if each.url == sites.gate + "/-/frame")
    shell.evaluate(ECHO)
    sibling = stranger_in(page, sites)
    pose = """types => Promise.all(types.map((type) => forge(
        parent.frames[0], { type, path: '/settings/', token: 'planted', theme: 'dark' })))"""
    sibling.evaluate(pose, SAID_TO_THE_SHELL)
    assert page.evaluate("heard") == []
    expect(shell.locator("main:visible h1")).to_have_text("One moment")
    page.evaluate("say({ docsGate: 1, type: 'welcome', path: '/operating/' })")
    page.wait_for_function("heard.some(([name]) => name === 'navigate')")
    sibling.evaluate(pose, SAID_TO_THE_SHELL)
    assert sibling.evaluate("heard") == []
    page.evaluate("say({ docsGate: 1, type: 'navigate', path: '/operating/#keys' })")
    page.wait_for_function("heard.some(([, { path }]) => path === '/operating/#keys')")
    assert walked(page) == ["need-token", "ready", "navigate", "navigate"]


def test_a_port_from_before_a_reload_of_the_shell_is_heard_no_more(
    page: Page, sites: Embedding
) -> None:
    """A stranger has it, and replays it before the portal has spoken again, and after."""
    html = hand_made(sites.gate) + f'<iframe src="{sites.stranger.page(FORGE)}"></iframe>'
    page.goto(sites.portal.page(html))
    page.evaluate("hello")
    page.evaluate("say({ docsGate: 1, type: 'welcome', path: '/operating/' })")
    page.wait_for_function("heard.some(([name]) => name === 'navigate')")
    page.evaluate("old = port, port = null, heard.length = 0")
    page.evaluate("document.querySelector('iframe').src += ''")
    page.wait_for_function("port !== null")
    sibling = handed_on(page, sites, "old")
    replay = """async (types) => {
      for (const type of types) (await given).postMessage(
        { docsGate: 1, type, path: '/settings/', token: 'planted', theme: 'dark' });
    }"""
    sibling.evaluate(replay, SAID_TO_THE_SHELL)
    page.evaluate("say({ docsGate: 1, type: 'welcome', path: '/security/' })")
    page.wait_for_function("heard.some(([name]) => name === 'navigate')")
    sibling.evaluate(replay, SAID_TO_THE_SHELL)
    page.evaluate("say({ docsGate: 1, type: 'navigate', path: '/security/#the-cookie' })")
    page.wait_for_function("heard.some(([, { path }]) => path === '/security/#the-cookie')")
    assert sibling.evaluate("heard") == []
    assert walked(page) == ["need-token", "ready", "navigate", "navigate"]


def test_a_port_that_the_portal_hands_on_tells_the_way_and_no_secret(
    open_page: OpenPage, sites: Embedding
) -> None:
    """Whoever holds it leads the reader about, as the portal may; nothing opens for them."""
    page = open_page("all blocked")
    html = hand_made(sites.cookieless)
    page.goto(sites.portal.page(html + f'<iframe src="{sites.stranger.page(FORGE)}"></iframe>'))
    page.evaluate("hello")
    page.evaluate("say({ docsGate: 1, type: 'welcome', path: '/operating/' })")
    page.wait_for_function("heard.some(([name]) => name === 'navigate')")
    page.evaluate("heard.length = 0")
    sibling = handed_on(page, sites, "port")
    sibling.evaluate("""async () => {
      const say = (message) => held.postMessage({ docsGate: 1, ...message });
      var held = await given;
      for (const type of ["hello", "need-token", "ready", "welcome"]) say({ type });
      say({ type: "navigate", path: "https://evil.example/" });
      say({ type: "navigate", path: "/settings/" });
    }""")
    sibling.wait_for_function("heard.some(({ path }) => path === '/settings/')")
    heard = sibling.evaluate("heard")
    assert {each["type"] for each in heard} <= {"navigate", "height"}
    assert {each["path"] for each in heard if "path" in each} <= {"/", "/settings/"}
    assert "/-/s/" not in str(heard)
    assert page.evaluate("heard") == []
    reader = next(each for each in page.frames if "/-/s/" in each.url)
    assert reader.url.startswith(sites.cookieless)
    assert reader.url.endswith("/settings/")


def handed_on(page: Page, sites: Embedding, port: str) -> Frame:
    """The stranger's frame, to which the portal's page has transferred one of its ports."""
    frame = stranger_in(page, sites)
    page.evaluate(f"frames[1].postMessage('yours', '*', [{port}])")
    frame.evaluate("given.then(() => {})")
    return frame


def walked(page: Page) -> list[str]:
    """What the shell has said to a portal without the element, but for heights."""
    names = "heard.map(([name]) => name).filter((name) => name !== 'height')"
    return [str(name) for name in page.evaluate(names)]


def test_a_page_of_the_gate_that_is_not_the_elements_frame_gets_no_token(
    page: Page, sites: Embedding
) -> None:
    html = element(sites.gate) + f'<iframe src="{sites.gate}/?token=TOKEN"></iframe>'
    page.goto(sites.portal.page(html))
    page.wait_for_function("heard.some(([name]) => name === 'ready')")
    page.evaluate(ECHO)
    asked = sites.portal.asked
    for frame in page.frames[2:]:  # the page in the shell, and the one beside it
        assert frame.url.startswith(sites.gate)
        # past the site's policy, as a script of the site itself would be
        frame.evaluate(f"() => {{ {FORGING}; Object.assign(window, {{ heard, forge }}) }}")
        frame.evaluate("forge(top, { type: 'hello' })")
        assert frame.evaluate("heard") == []
    assert times_asked(page) == 1
    assert sites.portal.asked == asked


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
    assert page.url == sites.cookieless + "/"
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
