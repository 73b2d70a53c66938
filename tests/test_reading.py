"""What the fast door makes of the bytes of a request, and what it remembers of it."""

import tracemalloc

from gate.door.reading import Reading

HEAD = b"GET /%d HTTP/1.1\r\nHost: gate.example\r\nCookie: session=%d\r\n\r\n"


def test_headers_that_came_before_say_the_same_behind_another_line() -> None:
    reading = Reading()
    first = reading.read(HEAD % (1, 7))
    assert first is not None
    for number in range(2, 5):
        again = reading.read(HEAD % (number, 7))
        assert again is not None
        assert again[:2] == (b"GET", b"/%d" % number)
        assert again[2:] == first[2:]
    other = reading.read(HEAD % (1, 8))
    assert other is not None
    assert other[3] == b"session=8"


def test_headers_that_are_not_plain_are_never_so() -> None:
    reading = Reading()
    for _ in range(3):
        for more in (
            b"Range: bytes=0-1",
            b"Connection: close",
            b"Host: other",
            b"Content-Length: 1",
        ):
            head = (HEAD % (1, 7)).replace(b"\r\n\r\n", b"\r\n" + more + b"\r\n\r\n")
            assert reading.read(head) is None
            assert reading.read(HEAD % (1, 7)) is not None


def test_a_query_is_not_remembered() -> None:
    reading = Reading()
    secret = b"/?token=CANARY"
    head = (HEAD % (1, 7)).replace(b" /1 ", b" " + secret + b" ")
    for _ in range(3):
        found = reading.read(head)
        assert found is not None
        assert found[1] == secret
    assert "CANARY" not in repr(reading._lines)


def test_what_is_remembered_is_bounded() -> None:
    reading = Reading()
    padding = b"x" * 1500
    tracemalloc.start()
    try:
        for number in range(20_000):
            head = (HEAD % (number, number)).replace(b"\r\n\r\n", padding + b"\r\n\r\n")
            assert reading.read(head) is not None
            assert reading.read(head.replace(b"/", b"/" + padding[:400], 1)) is not None
        assert tracemalloc.get_traced_memory()[0] < 20 << 20
    finally:
        tracemalloc.stop()
