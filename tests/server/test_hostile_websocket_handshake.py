"""Opening handshakes that are wrong: no socket is opened, and nothing behind them is run."""

from __future__ import annotations

import base64

import pytest

from tests.server import hostile
from tests.server.wire import CLOSE, TEXT, frame, handshake, request

ORIGIN = "http://good.example"


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    options = ["--ws-protocol", "known", "--allowed-origin", ORIGIN]
    options += ["--websocket-connect-timeout", 0.5, "--close-timeout", 0.5]
    with hostile.attacked(tmp_path_factory.mktemp("handshakes"), *options) as found:
        yield found


def opening(path="/hostile", **changed):
    """A handshake that would be accepted, but for what is changed."""
    return handshake(path, **{"Origin": ORIGIN, **changed})


def key(raw):
    return base64.b64encode(raw).decode()


#: RFC 6455, 4.1 and 4.2.1.
BAD = {
    "no key": opening(Sec_WebSocket_Key=None),
    "empty key": opening(Sec_WebSocket_Key=""),
    "two keys": opening(Sec_WebSocket_Key=[key(bytes(16)), key(b"x" * 16)]),
    "the same key twice": opening(Sec_WebSocket_Key=[key(bytes(16))] * 2),
    "key of 15 bytes": opening(Sec_WebSocket_Key=key(bytes(15))),
    "key of 17 bytes": opening(Sec_WebSocket_Key=key(bytes(17))),
    "key that is no base64": opening(Sec_WebSocket_Key="!" * 24),
    "key with a space": opening(Sec_WebSocket_Key="AAAAAAAAAAA AAAAAAAAAA=="),
    "key with UTF-8": opening(Sec_WebSocket_Key="é".encode() * 11 + b"=="),
    "long key": opening(Sec_WebSocket_Key=key(bytes(3000))),
    "POST": opening(method="POST"),
    "HEAD": opening(method="HEAD"),
    "PUT": opening(method="PUT"),
    "OPTIONS": opening(method="OPTIONS"),
    "a body": opening(Content_Length=5) + b"12345",
    "a body in chunks": opening(Transfer_Encoding="chunked") + b"5\r\n12345\r\n0\r\n\r\n",
    "a body that is a request": opening(Content_Length=len(request())) + request(path="/hostile"),
    "a body that is a frame": opening(Content_Length=11) + frame(TEXT, b"hello"),
    "length and chunks": opening(Content_Length=5, Transfer_Encoding="chunked") + b"0\r\n\r\n",
    "folded header": opening(X_A=b"a\r\n b"),
    "LF in the head": opening(X_A=b"a\nX-B: b"),
    "NUL in the head": opening(X_A=b"a\x00"),
    "space before a colon": opening().replace(b"Upgrade:", b"Upgrade :"),
    "UTF-8 in the target": opening().replace(b"/hostile", "/hostilé".encode()),
}

#: The answer to a version says which one is spoken (RFC 6455, 4.4).
VERSIONS = {
    "none": None,
    "empty": "",
    "0": "0",
    "7": "7",
    "8": "8",
    "12": "12",
    "14": "14",
    "255": "255",
    "1e1": "1e1",
    "-13": "-13",
    "013": "013",
    "13.0": "13.0",
    "13a": "13a",
    "a list": "13, 8",
    "two": ["13", "8"],
    "the same twice": ["13", "13"],
}

#: RFC 9110, 7.8: an Upgrade that is none is not looked at, so that a page is right as well as 400.
NO_UPGRADE = {
    "no Connection": opening(Connection=None),
    "no Upgrade": opening(Upgrade=None),
    "Connection without Upgrade": opening(Connection="keep-alive"),
    "Connection with something like it": opening(Connection="xUpgrade"),
    "empty Upgrade": opening(Upgrade=""),
    "Upgrade to HTTP/2": opening(Upgrade="h2c"),
    "Upgrade to something else": opening(Upgrade="TLS/1.0"),
    "Upgrade to something like it": opening(Upgrade="websockets"),
    "Upgrade to a version of it": opening(Upgrade="websocket/13"),
    "Upgrade that looks the same to Unicode": opening(Upgrade="websoc\u212aet".encode()),
    "HTTP/1.0": opening(version="HTTP/1.0"),
}

PROTOCOLS = {
    "not known": "other",
    "UTF-8": "é".encode(),
    "invalid UTF-8": b"\xff\xfe",
    "UTF-8 that looks the same": "k\u2063nown".encode(),
    "a space within": "kno wn",
    "in quotes": '"known"',
    "in capitals": "KNOWN",
    "only commas": ",,,",
    "a very long one": "x" * 5000,
}

EXTENSIONS = {
    "unknown": "x-evil",
    "no name": ";;;,,,",
    "window of 99 bits": "permessage-deflate; server_max_window_bits=99",
    "window of 0 bits": "permessage-deflate; client_max_window_bits=0",
    "window of no bits": "permessage-deflate; client_max_window_bits=",
    "the same parameter twice": "permessage-deflate; a; a",
    "many offers": ", ".join(["permessage-deflate"] * 2000),
    "many parameters": "permessage-deflate" + "; a=b" * 5000,
    "a quote without an end": 'permessage-deflate; a="b',
    "many backslashes": 'permessage-deflate; a="' + "\\" * 5001,
    "UTF-8": "é".encode(),
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_a_handshake_that_is_wrong_is_400(target, data):
    with target.attack() as client:
        client.send(data)
        head, *rest = client.remains().split(b"\r\n")
        assert head.split()[1] == b"400"
        assert not [line for line in rest if line.startswith(b"HTTP/1.1")]
    assert "/hostile" not in client.log()


@pytest.mark.parametrize("version", VERSIONS.values(), ids=VERSIONS)
def test_another_version_is_426_that_names_ours(target, version):
    """Or 400, where there is no version, or none that is a number."""
    with target.attack() as client:
        client.send(opening(Sec_WebSocket_Version=version))
        [answer] = client.answers()
        assert answer.status in (426, 400)
        if str(version) in ("0", "7", "8", "12", "14", "255"):
            assert (answer.status, answer.headers["sec-websocket-version"]) == (426, ["13"])
    assert "/hostile" not in client.log()


@pytest.mark.parametrize("data", NO_UPGRADE.values(), ids=NO_UPGRADE)
def test_what_is_no_upgrade_is_a_request_or_400(target, data):
    with target.attack() as client:
        client.send(data)
        client.half_close()
        answers = client.statuses()
        assert answers in ([200], [400], [426], [])  # it may be taken for a client that left
    assert "connecting '/hostile'" not in client.log()


@pytest.mark.parametrize("offer", PROTOCOLS.values(), ids=PROTOCOLS)
def test_a_subprotocol_that_is_not_ours_is_ignored(target, offer):
    with target.attack() as client:
        client.send(opening("/fine", Sec_WebSocket_Protocol=offer))
        answer = client.answer()
        assert answer.status == 101
        assert "sec-websocket-protocol" not in answer.headers


@pytest.mark.parametrize("other", ["other", "é".encode(), "a b", ""], ids=ascii)
def test_a_subprotocol_of_ours_is_found_beside_others(target, other):
    with target.attack() as client:
        client.send(opening("/fine", Sec_WebSocket_Protocol=[other, "known"]))
        answer = client.answer()
        assert (answer.status, answer.headers["sec-websocket-protocol"]) == (101, ["known"])


@pytest.mark.parametrize("offer", EXTENSIONS.values(), ids=EXTENSIONS)
def test_an_extension_that_is_not_ours_is_ignored(target, offer):
    """Or 400, where the offer is not even one."""
    with target.attack() as client:
        client.send(opening("/fine", Sec_WebSocket_Extensions=offer))
        answer = client.answer()
        assert answer.status in (101, 400)
        assert "sec-websocket-extensions" not in answer.headers


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "https://good.example",
        "http://good.example:81",
        "http://good.example.evil.example",
        "http://evilgood.example",
        "http://good.example@evil.example",
        "http://good.example/..",
        "file://",
        "null",
        "",
        "good.example",
        "é".encode(),
        b"\xff",
        "http://[",
        ["http://good.example", "http://evil.example"],
    ],
    ids=ascii,
)
def test_another_origin_is_403_and_no_worker_hears_of_it(target, origin):
    """Or 400, where it is not even one."""
    with target.attack() as client:
        client.send(opening(Origin=origin))
        [answer] = client.answers()
        assert answer.status in (403, 400)
    assert "connecting '/hostile'" not in client.log()


@pytest.mark.parametrize("name", ["Connection", "Upgrade"])
def test_tokens_may_be_in_capitals_and_in_a_list(target, name):
    value = {"Connection": "keep-alive, UPGRADE", "Upgrade": "WebSocket"}[name]
    with target.attack() as client:
        client.send(opening("/fine", **{name: value}))
        assert client.answer().status == 101


def test_a_socket_that_the_consumer_refuses_is_403(target):
    with target.attack() as client:
        client.send(handshake("/refused", Origin=ORIGIN))
        assert client.statuses() == [403]
    assert "disconnected '/refused'" not in client.log()


def test_a_socket_that_no_consumer_answers_is_403_in_time(target):
    with target.attack() as client:
        client.send(handshake("/never", Origin=ORIGIN))
        assert client.statuses() == [403]


def test_a_request_behind_a_handshake_is_never_run(target):
    with target.attack() as client:
        client.send(opening("/fine") + request(path="/smuggled"))
        answer = client.answer()
        assert answer.status in (101, 400)
        if answer.status == 101:
            assert client.close_code() == 1002
    assert "/smuggled" not in client.log()


def test_frames_behind_a_handshake_are_read_when_it_is_accepted_or_it_is_400(target):
    """RFC 6455, 4.1: a client waits for the answer before it sends more."""
    with target.attack() as client:
        client.send(opening("/fine") + frame(TEXT, b"early"))
        status = client.answer().status
        assert status in (101, 400)
        assert status == 400 or client.frame().payload == b"early"


@pytest.mark.parametrize("path", ["/refused", "/never"])
def test_what_is_behind_a_handshake_that_is_refused_is_never_run(target, path):
    behind = frame(TEXT, b"early") + request(path="/smuggled")
    with target.attack() as client:
        client.send(handshake(path, Origin=ORIGIN) + behind)
        assert client.statuses() in ([403], [400], [])  # it may have been cut off
    assert "/smuggled" not in client.log()


def test_much_behind_a_handshake_is_not_taken_before_it_is_answered(target):
    with target.attack() as client:
        client.send(handshake("/never", Origin=ORIGIN))
        assert client.pour(frame(TEXT, bytes(60_000)), 64 * 1024**2) < 32 * 1024**2
        client.remains()


def test_a_handshake_behind_a_request_that_is_answered_is_a_handshake(target):
    with target.attack() as client:
        client.send(request())
        assert client.answer().status == 200
        client.send(opening("/fine"))
        assert client.answer().status == 101
        client.send(frame(CLOSE))
        assert client.close_code() is not None


def test_a_handshake_behind_a_request_that_waits_takes_no_answer_away(target):
    """It may be refused: nobody needs to send it before it is known that the server goes on."""
    with target.attack() as client:
        client.send(request() + opening("/fine"))
        assert client.answer().status == 200
        assert client.answer().status in (101, 400)
