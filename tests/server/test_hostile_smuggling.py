"""Requests that two readers could frame in two ways: nothing is ever read as a second request."""

from __future__ import annotations

import json

import pytest

from tests.server import hostile
from tests.server.wire import chunk, post, request

HIDDEN = b"GET /smuggled HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
LAST = request("Connection: close")
END = b"0\r\n\r\n"
#: Empty for those who see chunks, and a request behind.
CHUNKS = END + HIDDEN
CL = f"Content-Length: {len(CHUNKS)}"
TE = "Transfer-Encoding: chunked"


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    with hostile.attacked(tmp_path_factory.mktemp("smuggling"), "--max-head", 8192) as found:
        yield found


LENGTHS = {
    "length and chunks": post(CL, TE, body=CHUNKS),
    "chunks and length": post(TE, CL, body=CHUNKS),
    "length 0 and chunks": post("Content-Length: 0", TE, body=CHUNKS),
    "two lengths": post("Content-Length: 5", "Content-Length: 6", body=b"12345"),
    "two lengths, the first 0": post("Content-Length: 0", CL, body=CHUNKS),
    "the same length twice": post("Content-Length: 5", "Content-Length: 5", body=b"12345"),
    "a list of lengths": post("Content-Length: 5, 6", body=b"12345"),
    "a list of the same length": post("Content-Length: 5, 5", body=b"12345"),
    "length with a plus": post("Content-Length: +5", body=b"12345"),
    "negative length": post("Content-Length: -5", body=b"12345"),
    "negative zero": post("Content-Length: -0", body=b""),
    "length in hexadecimal": post("Content-Length: 0x5", body=b"12345"),
    "length with a letter": post("Content-Length: 5a", body=b"12345"),
    "length with an exponent": post("Content-Length: 5e0", body=b"12345"),
    "length with a fraction": post("Content-Length: 5.0", body=b"12345"),
    "length with an underscore": post("Content-Length: 1_0", body=b"1234567890"),
    "length with a space within": post("Content-Length: 1 0", body=b"1234567890"),
    "length with a semicolon": post("Content-Length: 5;", body=b"12345"),
    "length in quotes": post('Content-Length: "5"', body=b"12345"),
    "empty length": post("Content-Length:", body=b"12345"),
    "length with a vertical tab": post("Content-Length: \x0b5", body=b"12345"),
    "length with a NUL": post("Content-Length: 5\x00", body=b"12345"),
    "length in Arabic digits": post("Content-Length: \u0665".encode(), body=b"12345"),
    "length beyond 64 bits": post("Content-Length: 18446744073709551621", body=b"12345"),
}

CODINGS = {
    "chunked twice": post(TE, TE, body=CHUNKS),
    "chunked, chunked": post("Transfer-Encoding: chunked, chunked", body=CHUNKS),
    "chunked not last": post("Transfer-Encoding: chunked, gzip", body=CHUNKS),
    "chunked not last, in two headers": post(TE, "Transfer-Encoding: gzip", body=CHUNKS),
    "chunked not last, and a length": post("Transfer-Encoding: chunked, x", CL, body=CHUNKS),
    "coding with a vertical tab": post("Transfer-Encoding: \x0bchunked", CL, body=CHUNKS),
    "coding with a NUL": post("Transfer-Encoding: chunked\x00", CL, body=CHUNKS),
    "chunks on HTTP/1.0": post(TE, CL, body=CHUNKS).replace(b"HTTP/1.1", b"HTTP/1.0", 1),
}

#: A server that does not know a coding says 501 (RFC 9112, 6.1), or 400.
UNKNOWN_CODINGS = {
    "gzip, chunked": post("Transfer-Encoding: gzip, chunked", body=CHUNKS),
    "identity": post("Transfer-Encoding: identity", body=CHUNKS),
    "identity and a length": post("Transfer-Encoding: identity", CL, body=CHUNKS),
    "xchunked": post("Transfer-Encoding: xchunked", CL, body=CHUNKS),
    "chunked in quotes": post('Transfer-Encoding: "chunked"', CL, body=CHUNKS),
    "chunked with a parameter": post("Transfer-Encoding: chunked;a=b", CL, body=CHUNKS),
    "chun ked": post("Transfer-Encoding: chun ked", CL, body=CHUNKS),
    "empty coding": post("Transfer-Encoding:", CL, body=CHUNKS),
}

LINES = {
    "space before the colon": post("Transfer-Encoding : chunked", body=CHUNKS),
    "tab before the colon": post("Content-Length\t: 5", body=b"12345"),
    "space before the first header": post(" " + TE, body=CHUNKS),
    "folded line": post("Transfer-Encoding:\r\n chunked", body=CHUNKS),
    "folded line with a tab": post("X-A: b\r\n\t" + TE, body=CHUNKS),
    "folded length": post("X-A: b\r\n Content-Length: 5", body=b"12345"),
    "LF between headers": post("X-A: b\n" + TE, body=CHUNKS),
    "LF after each line": post(TE, body=CHUNKS).replace(b"\r\n", b"\n"),
    "LF for the end of the head": post(CL).replace(b"\r\n\r\n", b"\n\n") + CHUNKS,
    "LF after the request line": post(TE, body=CHUNKS).replace(b"\r\n", b"\n", 1),
    "CR alone in a value": post("X-A: b\r" + TE, body=CHUNKS),
    "CR CR LF": post("X-A: b\r", TE, body=CHUNKS),
    "CR in the request line": request(path="/hello\rX", body=HIDDEN),
    "NUL in a value": post("X-A: b\x00" + TE, body=CHUNKS),
    "NUL in a name": post("Transfer-Encoding\x00: chunked", body=CHUNKS),
    "line without a colon": post("chunked", body=CHUNKS),
    "no name": post(": chunked", body=CHUNKS),
    "control byte before a name": post("\x0b" + TE, body=CHUNKS),
    "no-break space after a name": post("Transfer-Encoding\xa0: chunked", body=CHUNKS),
}

CHUNKED = {
    "size no number": b"g\r\n12345\r\n0\r\n\r\n",
    "size with 0x": b"0x5\r\n12345\r\n0\r\n\r\n",
    "negative size": b"-5\r\n12345\r\n0\r\n\r\n",
    "size with a plus": b"+5\r\n12345\r\n0\r\n\r\n",
    "size with an underscore": b"1_0\r\n1234567890123456\r\n0\r\n\r\n",
    "no size": b"\r\n12345\r\n0\r\n\r\n",
    "extension without size": b";a=b\r\n12345\r\n0\r\n\r\n",
    "space before the size": b" 5\r\n12345\r\n0\r\n\r\n",
    "LF after the size": b"5\n12345\r\n0\r\n\r\n",
    "CR after the size": b"5\r12345\r\n0\r\n\r\n",
    "LF after the data": b"5\r\n12345\n0\r\n\r\n",
    "LF in an extension": b"5;a\nb\r\n12345\r\n0\r\n\r\n",
    "CR in an extension": b"5;a\rb\r\n12345\r\n0\r\n\r\n",
    "NUL in an extension": b"5;a=\x00\r\n12345\r\n0\r\n\r\n",
    "data longer than the size": b"5\r\n1234567\r\n0\r\n\r\n",
    "data shorter than the size": b"5\r\n123\r\n0\r\n\r\n" + HIDDEN,
    "size beyond 64 bits": b"10000000000000005\r\n12345\r\n0\r\n\r\n",
    "size of all ones, and more": b"fffffffffffffffff\r\n12345\r\n0\r\n\r\n",
    "no end after the last chunk": b"0\r\n" + HIDDEN,
    "trailer without a colon": b"0\r\nabc\r\n\r\n",
    "trailer with a space before the colon": b"0\r\nX-A : b\r\n\r\n",
    "trailer with a NUL": b"0\r\nX-A: \x00\r\n\r\n",
    "folded trailer": b"0\r\nX-A: b\r\n c\r\n\r\n",
    "LF after the last chunk": b"0\n\n",
    "LF in a trailer": b"0\r\nX-A: b\nX-C: d\r\n\r\n",
}


@pytest.mark.parametrize("data", LENGTHS.values(), ids=LENGTHS)
def test_a_request_of_doubtful_length_is_refused(target, data):
    refused(target, data, {400})


@pytest.mark.parametrize("data", CODINGS.values(), ids=CODINGS)
def test_a_request_of_doubtful_coding_is_refused(target, data):
    refused(target, data, {400})


@pytest.mark.parametrize("data", UNKNOWN_CODINGS.values(), ids=UNKNOWN_CODINGS)
def test_a_coding_that_is_unknown_is_refused_by_501_or_400(target, data):
    refused(target, data, {400, 501})


@pytest.mark.parametrize("data", LINES.values(), ids=LINES)
def test_a_head_with_doubtful_lines_is_refused(target, data):
    refused(target, data, {400})


@pytest.mark.parametrize("body", CHUNKED.values(), ids=CHUNKED)
def test_a_body_of_doubtful_chunks_is_refused(target, body):
    refused(target, post(TE, body=body), {400})


def refused(target, data, right):
    """One answer, and nothing behind the refused request is ever run."""
    with target.attack() as client:
        client.send(data + LAST)
        answers = client.answers()
        assert len(answers) == 1, answers
        assert answers[0].status in right
        assert answers[0].headers["connection"] == ["close"]
    assert "/smuggled" not in client.log()


# What is lawful is framed as the law says ---------------------------------------------------------

LAWFUL = {
    "chunked in capitals": (post("Transfer-Encoding: CHUNKED", body=chunk(b"12345") + END), 5),
    "an extension": (post(TE, body=b"5;a=b;c\r\n12345\r\n0;d\r\n\r\n"), 5),
    "an extension in quotes": (post(TE, body=b'5;a="b c"\r\n12345\r\n0\r\n\r\n'), 5),
    "size in capitals": (post(TE, body=b"A\r\n1234567890\r\n0\r\n\r\n"), 10),
    "many chunks": (post(TE, body=chunk(b"x") * 1000 + END), 1000),
    "a name with an underscore is no length": (
        post("Content_Length: 1000", "Content-Length: 5", body=b"12345"),
        5,
    ),
    "a name with an underscore is no coding": (
        post("Transfer_Encoding: chunked", "Content-Length: 5", body=b"12345"),
        5,
    ),
    "a request for a body": (post(f"Content-Length: {len(HIDDEN)}", body=HIDDEN), len(HIDDEN)),
    "chunks for a body": (post("Content-Length: 5", body=b"0\r\n\r\n"), 5),
    "an empty trailer": (post(TE, body=b"5\r\n12345\r\n0\r\nX-A:\r\n\r\n"), 5),
}


@pytest.mark.parametrize(("data", "length"), LAWFUL.values(), ids=LAWFUL)
def test_a_lawful_body_is_framed_as_it_says(target, data, length):
    with target.attack() as client:
        client.send(data + LAST)
        answers = client.answers()
        assert [(each.status, each.body) for each in answers] == [
            (200, str(length).encode()),
            (200, b"hello"),
        ]
    assert "/smuggled" not in client.log()


#: RFC 9112 allows these, and allows a server to be stricter; the trailers must be without effect.
DISPUTED = {
    "a length in a trailer": (
        post(TE, body=b"5\r\n12345\r\n0\r\nContent-Length: 99\r\n\r\n"),
        5,
    ),
    "a coding in a trailer": (
        post(TE, body=b"5\r\n12345\r\n0\r\nTransfer-Encoding: gzip\r\n\r\n"),
        5,
    ),
    "leading zeros in the length": (post("Content-Length: 0005", body=b"12345"), 5),
    "leading zeros in the size": (post(TE, body=b"00005\r\n12345\r\n0\r\n\r\n"), 5),
    "space after the size": (post(TE, body=b"5 \r\n12345\r\n0\r\n\r\n"), 5),
    "comma after chunked": (post("Transfer-Encoding: chunked,", body=chunk(b"12345") + END), 5),
    "empty line before the request": (
        b"\r\n" + post("Content-Length: 5", body=b"12345"),
        5,
    ),
}


@pytest.mark.parametrize(("data", "length"), DISPUTED.values(), ids=DISPUTED)
def test_what_may_be_read_or_refused_is_read_rightly_or_refused(target, data, length):
    with target.attack() as client:
        client.send(data + LAST)
        found = [(each.status, each.body) for each in client.answers()]
        if found[0][0] == 400:
            assert len(found) == 1
        else:
            assert found == [(200, str(length).encode()), (200, b"hello")]


# Trailers -----------------------------------------------------------------------------------------

FORGED = {
    "X-Forwarded-For": "10.6.6.6",
    "X-Forwarded-Proto": "https",
    "Forwarded": "for=10.6.6.6",
    "Host": "evil.example",
    "Cookie": "sessionid=stolen",
    "Authorization": "Basic YTpi",
    "Upgrade": "websocket",
    "Expect": "100-continue",
}


@pytest.mark.parametrize("name", FORGED)
def test_a_trailer_is_no_header(target, name):
    trailer = f"{name}: {FORGED[name]}".encode()
    body = b"5\r\n12345\r\n0\r\n" + trailer + b"\r\n\r\n"
    with target.attack() as client:
        client.send(post(TE, body=body, path="/message") + LAST)
        first, second = client.answers()
        shown = json.loads(first.body)
        assert FORGED[name] not in [value for _, value in shown["headers"]]
        assert (shown["client"][0], shown["scheme"]) == ("127.0.0.1", "http")
        assert second.body == b"hello"


def test_a_trailer_may_end_the_connection_and_nothing_else(target):
    with target.attack() as client:
        body = b"5\r\n12345\r\n0\r\nConnection: close\r\n\r\n"
        client.send(post(TE, body=body) + LAST)
        assert client.answers()[0].body == b"5"


@pytest.mark.parametrize("name", ["X_Forwarded_For", "X_FORWARDED_FOR", "Remote_User", "_", "A_"])
def test_a_name_with_an_underscore_does_not_pass(target, name):
    with target.attack() as client:
        client.send(request(f"{name}: forged", "Connection: close", path="/message"))
        shown = json.loads(client.answer().body)
        assert "forged" not in [value for _, value in shown["headers"]]


# One after the other ------------------------------------------------------------------------------


def test_after_close_nothing_more_is_run(target):
    with target.attack() as client:
        client.send(request("Connection: close") + HIDDEN)
        assert client.statuses() == [200]
    assert "/smuggled" not in client.log()


def test_after_a_request_on_http_1_0_nothing_more_is_run(target):
    with target.attack() as client:
        client.send(request(version="HTTP/1.0") + HIDDEN)
        assert client.statuses() == [200]
    assert "/smuggled" not in client.log()


def test_junk_behind_a_request_is_refused_after_its_answer(target):
    with target.attack() as client:
        client.send(post("Content-Length: 5", body=b"1234567890") + HIDDEN)
        answers = client.answers()
        assert [each.status for each in answers] == [200, 400]
        assert answers[0].body == b"5"
    assert "/smuggled" not in client.log()


def test_a_body_on_get_is_a_body(target):
    with target.attack() as client:
        client.send(request(f"Content-Length: {len(HIDDEN)}", body=HIDDEN) + LAST)
        assert client.statuses() == [200, 200]
    assert "/smuggled" not in client.log()


def test_a_second_request_that_is_bad_does_not_take_the_answer_of_the_first(target):
    with target.attack() as client:
        client.send(request() + post(CL, TE, body=CHUNKS))
        assert client.statuses() == [200, 400]
    assert "/smuggled" not in client.log()
