"""Bodies that are too large, too long in coming, or not what they say."""

from __future__ import annotations

import pytest

from tests.server import hostile
from tests.server.wire import chunk, post, request

MAX_BODY = 128 * 1024
KIB = 1024
TE = "Transfer-Encoding: chunked"
END = b"0\r\n\r\n"


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    options = ["--max-body", MAX_BODY, "--max-head", 8192]
    with hostile.attacked(tmp_path_factory.mktemp("bodies"), *options) as found:
        yield found


@pytest.mark.parametrize("length", [MAX_BODY + 1, 2**31, 2**32, 2**40, 2**63 - 1, 10**18])
def test_a_length_over_the_limit_is_413_before_any_of_the_body(target, length):
    with target.attack() as client:
        client.send(post(f"Content-Length: {length}"))
        assert refusal(client) == 413
    assert "ran POST" not in client.log()


@pytest.mark.parametrize("length", [2**63, 2**64 - 1, 2**64, 10**30], ids=str)
def test_a_length_that_no_number_holds_is_413_or_400(target, length):
    with target.attack() as client:
        client.send(post(f"Content-Length: {length}"))
        assert refusal(client) in (413, 400)


def test_a_client_that_asks_before_it_sends_too_much_is_told_413(target):
    with target.attack() as client:
        client.send(post(f"Content-Length: {MAX_BODY + 1}", "Expect: 100-continue"))
        assert refusal(client) == 413


def test_a_client_that_asks_before_it_sends_is_told_to_go_on(target):
    with target.attack() as client:
        client.send(post("Content-Length: 5", "Expect: 100-continue", "Connection: close"))
        assert client.answer().status == 100
        client.send(b"12345")
        assert [(each.status, each.body) for each in client.answers()] == [(200, b"5")]


def test_an_expectation_that_is_unknown_is_417_or_ignored(target):
    """RFC 9110, 10.1.1: may be 417."""
    data = post("Content-Length: 5", "Expect: 200-ok", "Connection: close", body=b"12345")
    with target.attack() as client:
        client.send(data)
        assert client.statuses() in ([200], [417])


def test_the_largest_body_is_taken(target):
    with target.attack() as client:
        head = post(f"Content-Length: {MAX_BODY}", "Connection: close")
        client.send(head + bytes(MAX_BODY))
        assert client.answer().body == str(MAX_BODY).encode()


TOO_MUCH = {
    "one chunk": [b"%x\r\n" % (64 * KIB * KIB), bytes(64 * KIB)],
    "a chunk of 2^63 - 1": [b"7fffffffffffffff\r\n", bytes(64 * KIB)],
    "a chunk of 2^64 - 1": [b"ffffffffffffffff\r\n", bytes(64 * KIB)],
    "chunks of 16 KiB": [b"", chunk(bytes(16 * KIB))],
    "chunks of 64 bytes": [b"", chunk(bytes(64)) * 1000],
}


@pytest.mark.parametrize(("first", "more"), TOO_MUCH.values(), ids=TOO_MUCH)
def test_chunks_over_the_limit_are_413_and_the_rest_is_not_taken(target, first, more):
    """A server that does not read on may have to cut off a client that does not stop."""
    with target.attack() as client:
        client.send(post(TE) + first)
        assert cut_off(client, more)
        assert client.statuses() in ([413], [400], [])
    assert "ran POST" not in client.log()


def test_chunks_just_over_the_limit_are_413_and_the_answer_arrives(target):
    with target.attack() as client:
        client.send(post(TE) + chunk(bytes(MAX_BODY)) + chunk(b"x") + END)
        client.send(request("Connection: close"))
        assert client.statuses() in ([413], [413, 200])
    assert "ran POST" not in client.log()


@pytest.mark.parametrize("length", [MAX_BODY + 1, 2**40])
def test_a_client_that_does_not_heed_413_is_cut_off(target, length):
    with target.attack() as client:
        client.send(post(f"Content-Length: {length}"))
        assert client.answer().status == 413
        if length > 2**30:
            assert cut_off(client, bytes(64 * KIB))
        else:
            client.send(bytes(length))
        client.remains()


SIDE_LOAD = {
    "an endless size": (b"", b"0" * 8192),
    "an endless extension": (b"5;a=", b"x" * 8192),
    "an extension of each chunk": (b"", (b"1;" + b"x" * 8192 + b"\r\na\r\n")),
    "endless trailers": (b"5\r\n12345\r\n0\r\n", b"X-A: b\r\n" * 1000),
    "a trailer without an end": (b"5\r\n12345\r\n0\r\nX-A: ", b"x" * 8192),
    "the name of a trailer without an end": (b"5\r\n12345\r\n0\r\n", b"x" * 8192),
}


@pytest.mark.parametrize(("first", "more"), SIDE_LOAD.values(), ids=SIDE_LOAD)
def test_what_comes_beside_a_body_is_bounded(target, first, more):
    """It is refused as bad, as too large a head, or as too large a body."""
    with target.attack() as client:
        client.send(post(TE) + first)
        assert cut_off(client, more, limit=32)
        assert client.statuses() in ([400], [413], [431], [])
    assert "ran POST" not in client.log()


def test_a_body_of_one_byte_chunks_is_taken(target):
    with target.attack() as client:
        client.send(post(TE, "Connection: close") + chunk(b"x") * 20_000 + END)
        assert [(each.status, each.body) for each in client.answers()] == [(200, b"20000")]


@pytest.mark.parametrize("path", ["/hello", "/length"])
def test_a_body_that_is_shorter_than_it_says_is_never_run(target, path):
    with target.attack() as client:
        client.send(post("Content-Length: 10", body=b"12345", path=path))
        client.half_close()
        assert client.statuses() in ([], [400])
        target.forgets_all()
    assert "ran POST" not in client.log()


def test_chunks_without_the_last_are_never_run(target):
    with target.attack() as client:
        client.send(post(TE, body=chunk(b"12345")))
        client.half_close()
        assert client.statuses() in ([], [400])
        target.forgets_all()
    assert "ran POST" not in client.log()


def test_a_body_on_a_page_that_does_not_want_it_is_no_second_request(target):
    hidden = request(path="/smuggled")
    with target.attack() as client:
        client.send(post(f"Content-Length: {len(hidden)}", body=hidden, path="/hello"))
        client.send(request("Connection: close"))
        assert client.statuses() == [200, 200]
    assert "/smuggled" not in client.log()


def test_the_body_of_a_refused_request_is_no_second_request(target):
    hidden = request(path="/smuggled") * 50
    with target.attack() as client:
        client.send(post(f"Content-Length: {MAX_BODY + 1}") + hidden)
        assert client.statuses() == [413]
    assert "/smuggled" not in client.log()


def cut_off(client, more, *, limit=128):
    """Whether the server ends the connection before it has taken ``limit`` MiB of ``more``."""
    sent = 0
    while sent < limit * KIB * KIB:
        if not client.send(more):
            return True
        sent += len(more)
    return False


def refusal(client):
    """The status of an answer that says that the connection ends behind it."""
    answer = client.answer()
    assert answer.headers["connection"] == ["close"]
    return answer.status
