"""Rules on the heads of requests, and what becomes of those that break them."""

from __future__ import annotations

import base64

import pytest

from channels_classic.server.heads import (
    fault,
    handshake_fault,
    size,
    target_fault,
    wants_websocket,
)
from tests.server.ends import Client

KEY = base64.b64encode(bytes(16))


def head(*headers, version="1.1"):
    return {"type": "http", "http_version": version, "headers": list(headers)}


def hosts(*values, version="1.1"):
    return head(*[(b"host", value) for value in values], version=version)


# Host ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        *(b"example.com", b"EXAMPLE.com:8000", b"localhost", b"10.0.0.1:80", b"my_service:8000"),
        *(b"[::1]", b"[2001:db8::1]:443", b"a", b"a:", b"%41.example", b"xn--bcher-kva.example"),
    ],
)
def test_a_host_may_be(host):
    assert fault(hosts(host)) is None


@pytest.mark.parametrize(
    "host",
    [
        *(b"", b" ", b"a b", b"a/b", b"a?b", b"a#b", b"user@a", b"http://a", b"a:b", b"a:-1"),
        *(b"a:123456", b"[::1", b"::1", b"[::1]x", b"[a.b]c:", b"%4", b"%zz", b"a\\b", b"<a>"),
        *(b"a,b ", b"\xe4.example", b'"a"'),
    ],
)
def test_a_host_may_not_be(host):
    assert fault(hosts(host)) == "The Host header names no host."


@pytest.mark.parametrize("version", ["1.0", "1.1", "2"])
def test_two_hosts_are_refused_even_if_they_are_the_same(version):
    assert fault(hosts(b"a", b"a", version=version)) == "A request has one Host header."


@pytest.mark.parametrize(("version", "expected"), [("1.0", True), ("1.1", False), ("2", False)])
def test_only_http_1_0_needs_no_host(version, expected):
    assert (fault(head((b"accept", b"*/*"), version=version)) is None) is expected


def test_a_scope_without_a_version_is_one_of_http_1_1():
    assert fault({"type": "websocket", "headers": []}) == "A request has one Host header."


# Names and values ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", [b"", b"a b", b"a:", b"a\r\nb", b"a\x00", b"\xe4", b"a(b)", b'"a"']
)
def test_what_is_no_token_is_no_name(name):
    assert fault(head((b"host", b"a"), (name, b"b"))) == "A header has a name that is none."


@pytest.mark.parametrize(
    "byte", [0, 1, 8, 0x0A, 0x0B, 0x0C, 0x0D, 0x1B, 0x1C, 0x1D, 0x1E, 0x1F, 0x7F, 0x85]
)
@pytest.mark.parametrize("name", [b"host", b"x-a"])
def test_a_value_has_no_control_characters(name, byte):
    bad = (name, b"a" + bytes([byte]) + b"b")
    others = [] if name == b"host" else [(b"host", b"a")]
    assert fault(head(*others, bad)) == "A header has a control character in it."


@pytest.mark.parametrize("value", [b"\xc2\x85", b"\x85", b"\xff\x85"])
def test_a_next_line_character_is_a_control_character(value):
    others = [(b"host", b"a"), (b"x-a", "Å".encode())]
    assert fault(head(*others, (b"x-b", value))) == "A header has a control character in it."


@pytest.mark.parametrize("value", ["Å", "хорошо", "\u2005", "𐅅"])
def test_letters_in_utf8_pass_whatever_bytes_they_have(value):
    assert b"\x85" in value.encode()
    assert fault(head((b"host", b"a"), (b"cookie", b"name=" + value.encode()))) is None


@pytest.mark.parametrize("value", [b"", b"a\tb", b"a b", b"\xc3\xa9", b"\xff", b"\x84\x86", b'"'])
def test_other_values_pass(value):
    assert fault(head((b"host", b"a"), (b"x-a", value), (b"x_b", b"dropped later"))) is None


# What the server does -----------------------------------------------------------------------------


async def test_a_bad_request_is_answered_without_a_worker(server, workers, layer):
    client = Client(server(), {**hosts(b"a b"), "method": "GET", "path": "/"}).start()
    begin, end = await client.done()
    assert begin["status"] == 400
    assert b"names no host" in end["body"]
    assert workers.waiting("http.request") == 0


@pytest.mark.parametrize("can_be_answered", [True, False])
async def test_a_bad_handshake_is_refused(server, workers, can_be_answered):
    extensions = {"websocket.http.response": {}} if can_be_answered else {}
    scope = {**hosts(b"a", b"b"), "type": "websocket", "path": "/", "extensions": extensions}
    client = Client(server(), scope)
    client.incoming.put_nowait({"type": "websocket.connect"})
    events = await client.start().done()
    if can_be_answered:
        assert [event["type"] for event in events] == [
            "websocket.http.response.start",
            "websocket.http.response.body",
        ]
        assert events[0]["status"] == 400
    else:
        assert events == [{"type": "websocket.close", "code": 1000}]
    assert workers.waiting("websocket.connect") == 0


# Targets and sizes --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "target", "host", "status"),
    [
        ("GET", b"/", b"a", None),
        ("GET", b"//b/", b"a", None),
        ("GET", b"http://a/x", b"a", None),
        ("GET", b"HTTPS://A:1?x", b"a:1", None),
        ("GET", b"http://b/x", b"a", 400),
        ("GET", b"http://a:80/", b"a", 400),
        ("GET", b"http://u@a/", b"a", 400),
        ("GET", b"ftp://a/", b"a", 400),
        ("GET", b"*", b"a", 400),
        ("GET", b"", b"a", 400),
        ("CONNECT", b"a:1", b"a:1", 501),
        ("CONNECT", b"/", b"a", 501),
    ],
)
def test_the_target_of_a_request(method, target, host, status):
    found = target_fault(method, target, [(b"host", host)])
    assert (found and found.status) == status


def test_the_size_of_a_head_is_that_on_the_wire():
    raw = b"POST /x HTTP/1.1\r\nhost: a\r\nx-empty: \r\n\r\n"
    assert size("POST", b"/x", [(b"host", b"a"), (b"x-empty", b"")]) == len(raw)


# Handshakes ---------------------------------------------------------------------------------------


def handshake(**changes):
    headers = {
        "host": b"a",
        "connection": b"Upgrade",
        "upgrade": b"websocket",
        "sec-websocket-version": b"13",
        "sec-websocket-key": KEY,
    }
    headers.update({name.replace("_", "-"): value for name, value in changes.items()})
    return [
        (name.encode(), each)
        for name, value in headers.items()
        for each in (value if isinstance(value, list) else [value])
    ]


@pytest.mark.parametrize(
    "upgrade", [b"websocket", b"WebSocket", b"h2c, websocket", [b"x", b"websocket"]]
)
def test_a_websocket_is_wanted_however_it_is_said(upgrade):
    assert wants_websocket(handshake(upgrade=upgrade))


@pytest.mark.parametrize("upgrade", [[], b"h2c", b"websockets", b""])
def test_another_upgrade_is_none(upgrade):
    assert not wants_websocket(handshake(upgrade=upgrade))


@pytest.mark.parametrize("changes", [{}, {"upgrade": b"WebSocket"}, {"content_length": b"0"}])
def test_a_right_handshake(changes):
    assert handshake_fault("GET", "1.1", handshake(**changes)) is None


@pytest.mark.parametrize(
    ("method", "version", "changes", "status"),
    [
        ("POST", "1.1", {}, 400),
        ("GET", "1.0", {}, 400),
        ("GET", "1.1", {"upgrade": b"websocket, h2c"}, 400),
        ("GET", "1.1", {"upgrade": [b"websocket", b"websocket"]}, 400),
        ("GET", "1.1", {"content_length": b"5"}, 400),
        ("GET", "1.1", {"transfer_encoding": b"chunked"}, 400),
        ("GET", "1.1", {"sec_websocket_version": b"8"}, 426),
        ("GET", "1.1", {"sec_websocket_version": []}, 426),
        ("GET", "1.1", {"sec_websocket_version": [b"13", b"13"]}, 426),
        ("GET", "1.1", {"sec_websocket_key": []}, 400),
        ("GET", "1.1", {"sec_websocket_key": [KEY, KEY]}, 400),
        ("GET", "1.1", {"sec_websocket_key": b"short"}, 400),
        ("GET", "1.1", {"sec_websocket_key": base64.b64encode(bytes(15))}, 400),
        ("GET", "1.1", {"sec_websocket_key": b"\xff" * 24}, 400),
    ],
)
def test_a_wrong_handshake(method, version, changes, status):
    found = handshake_fault(method, version, handshake(**changes))
    assert found is not None
    assert found.status == status


def test_a_client_of_another_version_hears_which_one_is_spoken():
    found = handshake_fault("GET", "1.1", handshake(sec_websocket_version=b"8"))
    assert (b"sec-websocket-version", b"13") in found.headers
