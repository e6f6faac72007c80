"""Request heads that are wrong: their lines, their Host, their bytes, their size."""

from __future__ import annotations

import json

import pytest

from tests.server import hostile
from tests.server.wire import handshake, request

MAX_HEAD = 8192
MAX_FIELDS = 50
HELLO = b"hello"


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    options = ["--max-head", MAX_HEAD, "--max-fields", MAX_FIELDS, "--head-timeout", 5]
    with hostile.attacked(tmp_path_factory.mktemp("heads"), *options) as found:
        yield found


def refused(target, data, right):
    """One answer, the connection ends, and no consumer ever hears of it."""
    with target.attack() as client:
        client.send(data)
        answers = client.answers()
        assert len(answers) == 1, answers
        assert answers[0].status in right
    assert "/hostile" not in client.log()


def lines(*each, path="/hostile", **changed):
    """A request to what nobody must be asked for."""
    return request(*each, path=path, **changed)


# The request line ---------------------------------------------------------------------------------

REQUEST_LINES = {
    "nothing but a word": b"HELLO\r\n\r\n",
    "no target": b"GET HTTP/1.1\r\nHost: a\r\n\r\n",
    "no slash": b"GET hostile HTTP/1.1\r\nHost: a\r\n\r\n",
    "tabs for spaces": b"GET\t/hostile\tHTTP/1.1\r\nHost: a\r\n\r\n",
    "space in the target": b"GET /hostile x HTTP/1.1\r\nHost: a\r\n\r\n",
    "NUL in the target": b"GET /hostile\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
    "control byte in the target": b"GET /hostile\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
    "DEL in the target": b"GET /hostile\x7f HTTP/1.1\r\nHost: a\r\n\r\n",
    "UTF-8 in the target": "GET /hostilé HTTP/1.1\r\nHost: a\r\n\r\n".encode(),
    "invalid UTF-8 in the target": b"GET /hostile\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n",
    "UTF-8 in the query": "GET /hostile?é HTTP/1.1\r\nHost: a\r\n\r\n".encode(),
    "asterisk for GET": b"GET * HTTP/1.1\r\nHost: a\r\n\r\n",
    "method with a colon": b"GE:T /hostile HTTP/1.1\r\nHost: a\r\n\r\n",
    "method with a NUL": b"GET\x00 /hostile HTTP/1.1\r\nHost: a\r\n\r\n",
    "no method": b" /hostile HTTP/1.1\r\nHost: a\r\n\r\n",
    "an answer": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "a line of control bytes": b"\x01\x02\x03\x04\r\n\r\n",
    "high bytes": b"\xff\xfe\xfd\xfc\r\n\r\n",
    "TLS to a plain port": bytes.fromhex("160301007a010000760303") + bytes(range(115)),
    "SSL 2": bytes.fromhex("802e0100020015000000100100800200800600") + bytes(27),
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
    "SOCKS": b"\x05\x01\x00\r\n\r\n",
    "PROXY protocol": b"PROXY TCP4 10.6.6.6 10.0.0.1 1 80\r\nGET /hostile HTTP/1.1\r\n\r\n",
    "PROXY protocol 2": b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + bytes(12),
    "Redis": b"*1\r\n$4\r\nPING\r\n",
    "SMTP": b"EHLO evil.example\r\n",
}

#: A method that exists nowhere is 501 (RFC 9110, 9.1), or not even one: 400.
METHODS = ["get", "HELLO", "G" * 300, "M-SEARCHX", "CONNECT", "PRI", "DESCRIBE"]

#: What is no version is 400; one that is not spoken here is 505.
VERSIONS = {
    "none, as in HTTP/0.9": b"GET /hostile\r\n\r\n",
    "0.9": lines(version="HTTP/0.9"),
    "1.2": lines(version="HTTP/1.2"),
    "1.9": lines(version="HTTP/1.9"),
    "2.0": lines(version="HTTP/2.0"),
    "2": lines(version="HTTP/2"),
    "3.0": lines(version="HTTP/3.0"),
    "9.9": lines(version="HTTP/9.9"),
    "1.10": lines(version="HTTP/1.10"),
    "01.1": lines(version="HTTP/01.1"),
    "1": lines(version="HTTP/1"),
    "1.": lines(version="HTTP/1."),
    ".1": lines(version="HTTP/.1"),
    "-1.1": lines(version="HTTP/-1.1"),
    "in lower case": lines(version="http/1.1"),
    "HTTPS": lines(version="HTTPS/1.1"),
    "ICE": lines(version="ICE/1.0"),
    "RTSP": lines(version="RTSP/1.0"),
    "with a space": lines(version="HTTP/ 1.1"),
    "and more": lines(version="HTTP/1.1 x"),
    "preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000"),
}


@pytest.mark.parametrize("data", REQUEST_LINES.values(), ids=REQUEST_LINES)
def test_what_is_no_request_line_is_400(target, data):
    refused(target, data, {400})


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method[:20])
def test_a_method_that_does_not_exist_is_501_or_405_or_400(target, method):
    refused(target, lines("Connection: close", method=method), {400, 405, 501})


@pytest.mark.parametrize("data", VERSIONS.values(), ids=VERSIONS)
def test_only_http_1_0_and_1_1_are_spoken(target, data):
    refused(target, data, {400, 505})


@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/1.1"])
def test_http_1_0_and_1_1_are_spoken(target, version):
    with target.attack() as client:
        client.send(request("Connection: close", version=version))
        assert client.statuses() == [200]


@pytest.mark.parametrize(
    ("target_", "shown"),
    [
        ("/message?%ff", "/message"),
        ("/message?\x22<script>", "/message"),
        ("http://evil.example/message", "/message"),
        ("/message#fragment", "/message"),
        ("//message", None),
        ("/../message", None),
    ],
)
def test_an_odd_target_is_the_path_that_it_says_or_400(target, target_, shown):
    """RFC 9112, 3.2, lets a server mend or refuse them; it must not take them for another path."""
    with target.attack() as client:
        client.send(request("Connection: close", path=target_))
        answer = client.answers()[0]
        assert answer.status in (200, 400)
        if answer.status == 200:
            assert (json.loads(answer.body)["path"] if shown else answer.body) == (shown or HELLO)


@pytest.mark.parametrize(
    "path", ["/%ff%fe", "/%c0%af", "/%ed%a0%80", "/%f4%90%80%80", "/%00", "/%"]
)
def test_a_path_that_is_no_utf_8_hurts_nobody(target, path):
    """The bytes are lawful in a target: they arrive, replaced, or are refused. Never a 500."""
    with target.attack() as client:
        client.send(request("Connection: close", path=path))
        assert client.statuses() in ([200], [400])


# Host ---------------------------------------------------------------------------------------------

HOSTS = {
    "none": [],
    "two": ["Host: 127.0.0.1", "Host: evil.example"],
    "the same twice": ["Host: 127.0.0.1", "Host: 127.0.0.1"],
    "empty": ["Host:"],
    "only a port": ["Host: :80"],
    "space within": ["Host: a b"],
    "a path": ["Host: a/b"],
    "a query": ["Host: a?b"],
    "a fragment": ["Host: a#b"],
    "a user": ["Host: user@127.0.0.1"],
    "a list": ["Host: a, b"],
    "a quote": ['Host: a"b'],
    "a tag": ["Host: <script>"],
    "a backslash": ["Host: a\\b"],
    "a caret": ["Host: a^b"],
    "a brace": ["Host: {a}"],
    "a port with letters": ["Host: a:http"],
    "a negative port": ["Host: a:-1"],
    "two ports": ["Host: a:80:80"],
    "a URL": ["Host: http://a"],
    "half an IPv6 address": ["Host: [::1"],
    "the other half": ["Host: ::1]"],
    "IPv6 without brackets": ["Host: ::1"],
    "brackets without an address": ["Host: []"],
    "no address in brackets": ["Host: [evil]"],
    "something behind the brackets": ["Host: [::1]evil"],
    "a NUL": ["Host: a\x00b"],
    "a vertical tab": ["Host: a\x0bb"],
    "a tab": ["Host: a\tb"],
    "DEL": ["Host: a\x7f"],
    "UTF-8": ["Host: é".encode()],
    "invalid UTF-8": [b"Host: \xff\xfe"],
    "a bad escape": ["Host: a%zz"],
}


@pytest.mark.parametrize("hosts", HOSTS.values(), ids=HOSTS)
def test_a_request_without_one_valid_host_is_400(target, hosts):
    refused(target, lines("Connection: close", *hosts, host=False), {400})


@pytest.mark.parametrize("hosts", HOSTS.values(), ids=HOSTS)
def test_a_socket_without_one_valid_host_is_400(target, hosts):
    data = handshake("/hostile").replace(b"Host: 127.0.0.1\r\n", b"")
    host_lines = [each if isinstance(each, bytes) else each.encode("latin-1") for each in hosts]
    first, rest = data.split(b"\r\n", 1)
    refused(target, b"\r\n".join([first, *host_lines, rest]), {400})


@pytest.mark.parametrize(
    "host",
    ["a", "a:80", "127.0.0.1:65535", "[::1]", "[::1]:80", "xn--bcher-kva.example", "a_b", "a."],
)
def test_a_valid_host_is_served(target, host):
    with target.attack() as client:
        client.send(request(f"Host: {host}", "Connection: close", host=False))
        assert client.statuses() == [200]


# Bytes --------------------------------------------------------------------------------------------

CONTROL = [*range(0x09), 0x0B, 0x0C, *range(0x0E, 0x20), 0x7F, 0x85]


@pytest.mark.parametrize("byte", CONTROL, ids="{:02x}".format)
def test_a_control_byte_in_a_header_is_400(target, byte):
    """Also 85, a line break to those who read text: Django's parser of headers was one."""
    refused(target, lines("Connection: close", b"X-A: a%cb" % byte), {400})


@pytest.mark.parametrize(
    "byte", [0x00, 0x0B, 0x0C, 0x1C, 0x1D, 0x1E, 0x7F, 0x85], ids="{:02x}".format
)
def test_a_control_byte_in_a_header_of_a_socket_is_400(target, byte):
    refused(target, handshake("/hostile", X_A=b"a%cb" % byte), {400})


@pytest.mark.parametrize(
    "name",
    [
        b"X A",
        b"X(A)",
        b"X/A",
        b"X@A",
        b"X,A",
        b'X"A',
        b"X[A]",
        b"X{A}",
        b"X=A",
        b"X\xc3\xa9",
        b"\x7f",
    ],
)
def test_a_name_that_is_no_token_is_400(target, name):
    refused(target, lines(name + b": b"), {400})


@pytest.mark.parametrize("value", [b"\xff\xfe", "é".encode(), b"\xed\xa0\x80"], ids=repr)
def test_high_bytes_of_a_value_pass_as_they_are(target, value):
    """RFC 9110, 5.5: opaque data."""
    with target.attack() as client:
        client.send(request(b"X-A: " + value, "Connection: close", path="/message"))
        shown = json.loads(client.answer().body)
        assert dict(shown["headers"])["x-a"] == value.decode("latin-1")


# Size ---------------------------------------------------------------------------------------------

FULL = "x" * MAX_HEAD
LARGE = {
    "one long header": lines("X-A: " + FULL),
    "one long name": lines(FULL + ": a"),
    "headers that are long together": lines(*[f"X-{n}: {'x' * 400}" for n in range(40)]),
    "a long cookie": lines("Cookie: " + "a=b; " * 4000),
    "a value of spaces": lines("X-A:" + " " * MAX_HEAD + "b"),
    "one field too many": lines(*[f"X-{n}: a" for n in range(MAX_FIELDS)]),
    "many fields": lines(*[f"X-{n}: a" for n in range(600)]),
    "many fields of the same name": lines(*["X: a"] * 1000),
    "many empty fields": lines(*["X:"] * 1000),
    "a long header of a socket": handshake("/hostile", X_A=FULL),
    "many fields of a socket": handshake("/hostile", X_A=["a"] * MAX_FIELDS),
    "many subprotocols": handshake(
        "/hostile", Sec_WebSocket_Protocol=", ".join(map(str, range(9999)))
    ),
}
LONG_TARGETS = {
    "a long path": lines(path="/hostile" + FULL),
    "a long query": lines(path="/hostile?" + FULL),
}


@pytest.mark.parametrize("data", LARGE.values(), ids=LARGE)
def test_a_head_that_is_too_large_is_431(target, data):
    refused(target, data, {431})


@pytest.mark.parametrize("data", LONG_TARGETS.values(), ids=LONG_TARGETS)
def test_a_request_line_that_is_too_long_is_414_or_431(target, data):
    refused(target, data, {414, 431})


def test_what_is_wrong_before_it_is_too_long_may_be_either(target):
    """A method that does not exist, and a header without a colon."""
    refused(target, lines(method=FULL), {400, 414, 431, 501})
    refused(target, lines(FULL * 4), {400, 431})


def test_as_many_fields_as_are_allowed_are_served(target):
    fields = [f"X-{n}: a" for n in range(MAX_FIELDS - 2)]  # beside Host and Connection
    with target.attack() as client:
        client.send(request(*fields, "Connection: close"))
        assert client.statuses() == [200]


def test_a_head_just_below_the_limit_is_served(target):
    with target.attack() as client:
        room = MAX_HEAD - len(request("Connection: close", "X-A: ")) - 16
        client.send(request("Connection: close", "X-A: " + "x" * room))
        assert client.statuses() == [200]


ENDLESS = {
    "path": b"GET /hostile",
    "query": b"GET /hostile?",
    "value": b"GET /hostile HTTP/1.1\r\nHost: a\r\nX-A: ",
    "name": b"GET /hostile HTTP/1.1\r\nHost: a\r\n",
    "value of spaces": b"GET /hostile HTTP/1.1\r\nHost: a\r\nX-A: ",
    "headers": b"GET /hostile HTTP/1.1\r\nHost: a\r\n",
    "empty lines": b"",
}
FILLING = {"value of spaces": b" ", "headers": b"X-A: b\r\n", "empty lines": b"\r\n"}


@pytest.mark.parametrize("kind", ENDLESS)
def test_a_head_without_an_end_is_cut_off_early(target, kind):
    """64 MiB are never taken, and the answer is there for a client that reads it."""
    filling = FILLING.get(kind, b"x") * 8192
    with target.attack() as client:
        client.send(ENDLESS[kind])
        sent = 0
        while sent < 64 * 1024**2 and client.send(filling):
            sent += len(filling)
        assert sent < 64 * 1024**2
        # A client that goes on writing may find its connection reset, and the answer lost.
        assert client.statuses() in ([], [400], [408], [414], [431])
    assert "/hostile" not in client.log()
