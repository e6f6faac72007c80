"""Answers of consumers that are no answers: nothing of them goes on the wire.

What a client can make a consumer say must not become a header, nor a second answer. Here the
bus is a Redis, and the worker a process of its own.
"""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.server import hostile
from tests.server.wire import CLOSE, TEXT, frame, post, request


@pytest.fixture(scope="module")
def target(tmp_path_factory, redis_server):
    folder = tmp_path_factory.mktemp("answers")
    with hostile.attacked(folder, redis=redis_server.url) as found:
        yield found


def start(**changed):
    """The first reply of an answer, with something wrong."""
    return {"status": 200, "headers": [], "content": b"hello", **changed}


def header(name, value=b"b"):
    return [start(headers=[(name, value)])]


INJECTIONS = {
    "CR LF in a value": header(b"x-a", b"b\r\nX-Injected: 1"),
    "LF in a value": header(b"x-a", b"b\nX-Injected: 1"),
    "CR in a value": header(b"x-a", b"b\rX-Injected: 1"),
    "a second answer in a value": header(b"x-a", b"b\r\n\r\nHTTP/1.1 200 OK\r\nX-Injected: 1\r\n"),
    "CR LF at the end of a value": header(b"x-a", b"X-Injected\r\n"),
    "a folded value": header(b"x-a", b"b\r\n X-Injected"),
    "NUL in a value": header(b"x-a", b"X-Injected\x00"),
    "vertical tab in a value": header(b"x-a", b"X-Injected\x0b"),
    "control byte in a value": header(b"x-a", b"X-Injected\x01"),
    "DEL in a value": header(b"x-a", b"X-Injected\x7f"),
    "CR LF in a name": header(b"x-a: b\r\nx-injected", b"1"),
    "LF in a name": header(b"x-a\nx-injected", b"1"),
    "NUL in a name": header(b"x-injected\x00"),
    "a name with a colon": header(b"x-injected: a"),
    "a name with a space": header(b"x-injected a"),
    "a name with a tab": header(b"x-injected\ta"),
    "a name with UTF-8": header("x-injecté".encode() + b"x-injected"),
    "an empty name": header(b"", b"X-Injected"),
    "text with CR LF": header("x-a", "b\r\nX-Injected: 1"),
    "text beyond Latin 1": header("x-injected", "\u20ac"),
    "text that ends in a CR of Latin 1": header("x-a", "X-Injected\u010d\u010a".encode() + b"\r\n"),
    "a number for a value": header(b"x-injected", 5),
    "no pair": [start(headers=[(b"x-injected",)])],
    "a triple": [start(headers=[(b"x-injected", b"1", b"2")])],
    "headers as text": [start(headers="x-injected: 1")],
    "headers as a dict": [start(headers={b"x-injected": b"1"})],
}

MALFORMED = {
    "no status": [{"content": b"X-Injected"}],
    "status as text": [start(status="200 OK\r\nX-Injected: 1")],
    "status of an interim answer": [start(status=101)],
    "status 0": [start(status=0)],
    "status -200": [start(status=-200)],
    "status beyond three digits": [start(status=1000)],
    "status None": [start(status=None)],
    "content as text": [start(content="X-Injected")],
    "content as a list": [start(content=[1])],
    "an unknown key": [start(injected=b"X-Injected")],
    "nothing at all": [{}],
    "a reply for a socket": [{"text": "X-Injected"}],
}

#: With two lengths, or a wrong one, the client would take a part of one answer for another.
LENGTHS = {
    "two lengths": [(b"content-length", b"5"), (b"content-length", b"0")],
    "a length and chunks": [(b"content-length", b"5"), (b"transfer-encoding", b"chunked")],
    "a list of lengths": [(b"content-length", b"5, 0")],
    "a length that is no number": [(b"content-length", b"five")],
    "a negative length": [(b"content-length", b"-5")],
    "an unknown coding": [(b"transfer-encoding", b"x")],
}


def ask(replies):
    body = repr(replies).encode()
    return post(f"Content-Length: {len(body)}", body=body, path="/raw")


@pytest.mark.parametrize("replies", INJECTIONS.values(), ids=INJECTIONS)
def test_a_header_that_is_none_is_500_and_never_on_the_wire(target, replies):
    with target.attack() as client:
        client.send(ask(replies))
        answer = client.answer()
        assert answer.status == 500
        assert "injected" not in repr(answer).lower()
        client.send(request("Connection: close"))
        assert [(each.status, each.body) for each in client.answers()] in ([(200, b"hello")], [])
    assert "ERROR" in target.process.output()  # said sparingly


@pytest.mark.parametrize("replies", MALFORMED.values(), ids=MALFORMED)
def test_an_answer_that_is_none_is_500_and_never_on_the_wire(target, replies):
    with target.attack() as client:
        client.send(ask(replies))
        answer = client.answer()
        assert answer.status == 500
        assert "injected" not in repr(answer).lower()
    assert "ERROR" in target.process.output()  # said sparingly


@pytest.mark.parametrize("text", [b"OK\r\nX-Injected: 1", "OK\r\nX-Injected: 1", 5], ids=repr)
def test_a_status_text_is_ignored_or_500_and_never_on_the_wire(target, text):
    with target.attack() as client:
        client.send(ask([start(status_text=text)]))
        answer = client.answer()
        assert answer.status in (200, 500)
        assert "injected" not in repr(answer).lower()


@pytest.mark.parametrize("headers", LENGTHS.values(), ids=LENGTHS)
def test_an_answer_of_doubtful_length_leaves_nothing_for_the_next(target, headers):
    """A 500; or the whole answer, framed as the server knows to be right."""
    with target.attack() as client:
        client.send(ask([start(headers=headers)]))
        answer = client.answer()
        assert (answer.status, answer.body) == (200, b"hello") or answer.status == 500
        client.send(request("Connection: close"))
        assert [(each.status, each.body) for each in client.answers()] in ([(200, b"hello")], [])


@pytest.mark.parametrize("length", [2, 4, 6, 500])
def test_an_answer_of_another_length_than_it_says_ends_the_connection(target, length):
    """Never more than was announced; and a client that waits for the rest learns that it ends."""
    replies = [start(headers=[(b"content-length", b"%d" % length)])]
    with target.attack() as client:
        client.send(ask(replies) + request("Connection: close"))
        first = client.answers()[0]
        assert first.status == 500 or (first.status == 200 and len(first.body) <= length)
        assert first.status == 500 or not first.complete or len(first.body) == length


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_that_may_have_no_body_has_none(target, status):
    """Else the body would be the next answer."""
    with target.attack() as client:
        client.send(ask([start(status=status, content=b"HTTP/1.1 200 OK\r\n\r\n")]))
        assert client.answer().status in (status, 500)
        client.send(request("Connection: close"))
        assert [(each.status, each.body) for each in client.answers()] in ([(200, b"hello")], [])


def test_the_answer_to_head_has_no_body(target):
    with target.attack() as client:
        client.send(request(method="HEAD") + request("Connection: close"))
        data = client.remains()
        assert data.count(b"HTTP/1.1 200") == 2
        assert data.count(b"hello") == 1


def test_a_second_status_cuts_the_answer_short(target):
    replies = [start(more_content=True), start(content=b"X-Injected")]
    with target.attack() as client:
        client.send(ask(replies))
        [answer] = client.answers()
        assert (answer.status, answer.body, answer.complete) == (200, b"hello", False)


@pytest.mark.parametrize(
    "to",
    [
        "/a\r\nSet-Cookie: sessionid=evil",
        "/a\nSet-Cookie: sessionid=evil",
        "/a\r\n\r\n<script>evil</script>",
        "/a\x00evil",
        "/a\x0bevil",
    ],
    ids=ascii,
)
def test_what_a_client_asks_for_does_not_become_a_header(target, to):
    with target.attack() as client:
        client.send(request(path=f"/redirect?to={quote(to)}"))
        answer = client.answer()
        assert answer.status == 500
        assert "evil" not in repr(answer)
    assert "evil" not in "".join(line for line in client.log().splitlines() if "GET" not in line)


@pytest.mark.parametrize("path", ['/a"b', "/a\\b", "/%0d%0aevil", "/%1b[31mevil", "/%E2%80%AEevil"])
def test_what_a_client_asks_for_does_not_become_a_line_of_the_log(target, path):
    with target.attack() as client:
        client.send(request("Connection: close", path=path))
        assert client.statuses() in ([200], [400])
    assert not [line for line in client.log().splitlines() if line.startswith("evil")]
    assert "\x1b" not in client.log()
    assert "\u202e" not in client.log()


# Sockets ------------------------------------------------------------------------------------------

BAD_FRAMES = {
    "text that is no text": [{"text": 5}],
    "bytes that are text": [{"bytes": "a"}],
    "text and bytes": [{"text": "a", "bytes": b"b"}],
    "an unknown key": [{"injected": b"a"}],
    "close with a fraction": [{"close": 1000.5}],
    "close 999": [{"close": 999}],
    "close 1004": [{"close": 1004}],
    "close 1005": [{"close": 1005}],
    "close 1006": [{"close": 1006}],
    "close 1015": [{"close": 1015}],
    "close 2999": [{"close": 2999}],
    "close 5000": [{"close": 5000}],
    "close 65536": [{"close": 65536}],
    "close as text": [{"close": "1000"}],
    "an answer to a request": [start()],
}


@pytest.mark.parametrize("replies", BAD_FRAMES.values(), ids=BAD_FRAMES)
def test_a_reply_to_a_socket_that_is_none_is_1011(target, replies):
    with target.socket("/raw") as client:
        client.send(frame(TEXT, repr(replies).encode()))
        received = client.frame()
        assert (received.opcode, received.payload[:2]) == (CLOSE, (1011).to_bytes(2, "big"))
        client.send(frame(CLOSE, received.payload[:2]))
        assert client.remains() == b""
    assert "ERROR" in target.process.output()  # said sparingly
