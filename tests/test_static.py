"""Files over HTTP: what a reader with a session gets, from memory and streamed alike."""

import contextlib
import gzip
from collections.abc import AsyncIterator

import brotli
import pytest
import pytest_asyncio

from tests.conftest import DATA, Gate, lasting_gate
from tests.late import nothing_made
from tests.raw import Answer, ask

pytestmark = pytest.mark.asyncio(loop_scope="module")

REVALIDATE, IMMUTABLE = "private, no-cache", "private, max-age=31536000, immutable"
APP = (DATA / "assets" / "app.js").read_bytes()
PAGE = (DATA / "index.html").read_bytes()
MISSING = (DATA / "404.html").read_bytes()


class Reader:
    """A reader with a session, who sends no header but those of the test."""

    def __init__(self, gate: Gate, cookie: str) -> None:
        self.gate = gate
        self.cookie = f"Cookie: {cookie}"

    async def get(self, path: str, *headers: str, method: str = "GET") -> Answer:
        return await ask(self.gate, path, self.cookie, *headers, method=method)


@pytest_asyncio.fixture(
    scope="module",
    loop_scope="module",
    params=[(0, True), (256, True), (256, False)],
    ids=["streamed", "in-memory", "made-when-asked-for"],
)
async def reader(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Reader]:
    folder = tmp_path_factory.mktemp("static")
    memory, made = request.param
    with contextlib.nullcontext() if made else nothing_made():
        async with lasting_gate(folder, site={"memory_mib": memory}) as (gate, _):
            yield Reader(gate, (await gate.sign_in())["Cookie"])


@pytest.mark.parametrize(
    ("path", "kind", "caching", "file"),
    [
        ("/", "text/html; charset=utf-8", REVALIDATE, "index.html"),
        ("/index.html", "text/html; charset=utf-8", REVALIDATE, "index.html"),
        ("/guide/deep/", "text/html; charset=utf-8", REVALIDATE, "guide/deep/index.html"),
        ("/gu%69de/", "text/html; charset=utf-8", REVALIDATE, "guide/index.html"),
        ("/assets/main.0a1b2c3d.css", "text/css; charset=utf-8", IMMUTABLE,
         "assets/main.0a1b2c3d.css"),
        ("/assets/logo.png", "image/png", REVALIDATE, "assets/logo.png"),
        ("/assets/app.js.gz", "application/gzip", REVALIDATE, "assets/app.js.gz"),
    ],
)  # fmt: skip
async def test_a_file_comes_whole_with_its_type_and_caching_for_get_and_head(
    reader: Reader, path: str, kind: str, caching: str, file: str
) -> None:
    body = (DATA / file).read_bytes()
    got, head = await reader.get(path), await reader.get(path, method="HEAD")
    for answer in (got, head):
        assert answer.status == 200
        assert answer.headers["Content-Type"] == kind
        assert answer.headers["Cache-Control"] == caching
        assert answer.headers["Accept-Ranges"] == "bytes"
        assert answer.headers["Content-Length"] == str(len(body))
        assert answer.headers["ETag"].startswith('"')
        assert "Content-Encoding" not in answer.headers
    assert (got.body, head.body) == (body, b"")


async def test_names_that_are_not_ascii_are_served(reader: Reader) -> None:
    assert "Über uns".encode() in (await reader.get("/%C3%BCber%20uns/")).body
    redirect = await reader.get("/%c3%bcber%20uns")
    assert (redirect.status, redirect.headers["Location"]) == (301, "%C3%BCber%20uns/")


OPENERS = {"br": brotli.decompress, "gzip": gzip.decompress, None: bytes}


@pytest.mark.parametrize(
    ("accepts", "coding"),
    [
        ("gzip, deflate, br", "br"),
        ("gzip", "gzip"),
        ("br;q=0.1, gzip;q=0.2", "gzip"),
        ("gzip;q=0", None),
        ("br;q=0, gzip;q=0", None),
        ("*", "br"),
        ("identity", None),
        ("zstd", None),
    ],
)
async def test_the_coding_is_the_one_the_client_likes_best(
    reader: Reader, accepts: str, coding: str | None
) -> None:
    for method in ("GET", "HEAD"):
        answer = await reader.get("/assets/app.js", f"Accept-Encoding: {accepts}", method=method)
        assert answer.headers.get("Content-Encoding") == coding
        assert answer.headers["Vary"] == "Accept-Encoding"
        assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
        if method == "GET":
            assert OPENERS[coding](answer.body) == APP
            assert answer.headers["Content-Length"] == str(len(answer.body))


async def test_siblings_are_sent_as_they_are(reader: Reader) -> None:
    for coding, ending in (("br", ".br"), ("gzip", ".gz")):
        answer = await reader.get("/assets/app.js", f"Accept-Encoding: {coding}")
        assert answer.body == (DATA / f"assets/app.js{ending}").read_bytes()


@pytest.mark.parametrize("coding", ["br", "gzip", "identity"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_what_has_not_changed_is_304_in_the_coding_that_was_asked_for(
    reader: Reader, coding: str, method: str
) -> None:
    accepts = f"Accept-Encoding: {coding}"
    whole = await reader.get("/assets/app.js", accepts)
    etag = whole.headers["ETag"]
    for condition in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = await reader.get(
            "/assets/app.js", accepts, f"If-None-Match: {condition}", method=method
        )
        assert (again.status, again.body) == (304, b"")
        for name in ("ETag", "Cache-Control", "Vary"):
            assert again.headers[name] == whole.headers[name]
        for name in ("Content-Type", "Content-Encoding", "Content-Length", "Content-Range"):
            assert name not in again.headers
    twice = 'If-None-Match: "other"', f"If-None-Match: {etag}"
    assert (await reader.get("/assets/app.js", accepts, *twice)).status == 304
    other = await reader.get("/assets/app.js", accepts, 'If-None-Match: "other"', method=method)
    assert other.status == 200


async def test_the_tag_of_one_coding_is_not_that_of_another(reader: Reader) -> None:
    tags = {
        (await reader.get("/assets/app.js", f"Accept-Encoding: {coding}")).headers["ETag"]
        for coding in ("br", "gzip", "identity")
    }
    assert len(tags) == 3


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("0-0", 0, 0), ("5-9", 5, 9), ("300-", 300, None), ("-7", -7, None), ("0-99999", 0, None)],
)
async def test_one_range_is_206_of_the_plain_bytes(
    reader: Reader, asked: str, first: int, last: int | None
) -> None:
    part = APP[first:] if last is None else APP[first : last + 1]
    start = first % len(APP)
    answer = await reader.get("/assets/app.js", f"Range: bytes={asked}", "Accept-Encoding: br")
    assert (answer.status, answer.body) == (206, part)
    assert answer.headers["Content-Range"] == (f"bytes {start}-{start + len(part) - 1}/{len(APP)}")
    assert answer.headers["Content-Length"] == str(len(part))
    assert "Content-Encoding" not in answer.headers


async def test_if_range_takes_the_exact_tag_of_the_plain_bytes(reader: Reader) -> None:
    etag = (await reader.get("/assets/app.js")).headers["ETag"]
    for condition, status in [
        (etag, 206),
        (f"W/{etag}", 200),
        ('"other"', 200),
        ("Sat, 21 Nov 2099 06:00:00 GMT", 200),
    ]:
        answer = await reader.get("/assets/app.js", "Range: bytes=0-3", f"If-Range: {condition}")
        assert (answer.status, answer.body) == (status, APP[:4] if status == 206 else APP)


@pytest.mark.parametrize("asked", ["bytes=999-", "bytes=-0"])
async def test_a_range_outside_the_file_is_416_with_its_size(reader: Reader, asked: str) -> None:
    answer = await reader.get("/assets/app.js", f"Range: {asked}")
    assert (answer.status, answer.body) == (416, b"")
    assert answer.headers["Content-Range"] == f"bytes */{len(APP)}"
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("asked", ["bytes=0-1,3-4", "bytes=a-b", "bytes=3-1", "items=0-1"])
async def test_other_ranges_get_the_whole_file(reader: Reader, asked: str) -> None:
    answer = await reader.get("/assets/app.js", f"Range: {asked}")
    assert (answer.status, answer.body) == (200, APP)


async def test_a_range_counts_for_get_and_for_a_file_that_has_changed(reader: Reader) -> None:
    headed = await reader.get("/assets/app.js", "Range: bytes=0-1", method="HEAD")
    assert (headed.status, headed.headers["Content-Length"]) == (200, str(len(APP)))
    etag = (await reader.get("/assets/app.js")).headers["ETag"]
    known = await reader.get("/assets/app.js", "Range: bytes=0-1", f"If-None-Match: {etag}")
    assert known.status == 304


@pytest.mark.parametrize("headers", [(), ("Range: bytes=0-1",), ("If-None-Match: *",)])
async def test_the_sites_own_404_page_comes_whole_and_with_status_404(
    reader: Reader, headers: tuple[str, ...]
) -> None:
    for path in ("/nowhere", "/assets/", "/assets", "/guide/nowhere.css", "/.env", "/leak.txt"):
        answer = await reader.get(path, *headers)
        assert (answer.status, answer.body) == (404, MISSING)
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert answer.headers["Cache-Control"] == "no-store"
    assert (await reader.get("/nowhere", method="HEAD")).body == b""


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/guide", "guide/"),
        ("/guide/deep", "deep/"),
        ("/guide?x=%31&y=%C3%BC&&=", "guide/?x=%31&y=%C3%BC&&="),
        ("/guide??", "guide/??"),
        ("/guide?//evil.example", "guide/?//evil.example"),
    ],
)
async def test_a_folder_redirects_relatively_with_its_query(
    reader: Reader, path: str, location: str
) -> None:
    for method in ("GET", "HEAD"):
        answer = await reader.get(path, method=method)
        assert (answer.status, answer.body) == (301, b"")
        assert answer.headers["Location"] == location
        assert answer.headers["Cache-Control"] == REVALIDATE
