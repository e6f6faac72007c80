"""WebSocket frames that are wrong: the socket is closed with the code that says how."""

from __future__ import annotations

import struct

import pytest

from tests.server import hostile
from tests.server.wire import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    close,
    frame,
    handshake,
    request,
)

MAX_MESSAGE = 64 * 1024
MAX_FRAGMENTS = 50


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    options = ["--max-message-size", MAX_MESSAGE, "--max-fragments", MAX_FRAGMENTS]
    options += ["--close-timeout", 0.1]
    with hostile.attacked(tmp_path_factory.mktemp("frames"), *options) as found:
        yield found


def first(data):
    """The first fragment of a text, and something behind it."""
    return frame(TEXT, b"a", fin=False) + data


#: RFC 6455: 5.1, 5.2, 5.4, 5.5.
PROTOCOL_ERRORS = {
    "not masked": frame(TEXT, b"hello", masked=False),
    "ping not masked": frame(PING, b"hello", masked=False),
    "close not masked": frame(CLOSE, masked=False),
    "empty and not masked": frame(TEXT, masked=False),
    "reserved bit 1": frame(TEXT, b"hello", rsv=4),
    "reserved bit 2": frame(TEXT, b"hello", rsv=2),
    "reserved bit 3": frame(TEXT, b"hello", rsv=1),
    "all reserved bits": frame(TEXT, b"hello", rsv=7),
    "reserved bit of a ping": frame(PING, b"hello", rsv=4),
    "reserved bit of a close": frame(CLOSE, struct.pack("!H", 1000), rsv=1),
    "reserved bit of a continuation": first(frame(CONTINUATION, b"b", rsv=4)),
    **{f"opcode {code}": frame(code, b"hello") for code in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    "opcode 3 within a message": first(frame(3, b"b")),
    "continuation of nothing": frame(CONTINUATION, b"b"),
    "continuation of nothing, not the last": frame(CONTINUATION, b"b", fin=False),
    "continuation of a whole message": frame(TEXT, b"a") + frame(CONTINUATION, b"b"),
    "text within a message": first(frame(TEXT, b"b")),
    "bytes within a message": first(frame(BINARY, b"b", fin=False)),
    "ping in fragments": frame(PING, b"a", fin=False),
    "pong in fragments": frame(PONG, b"a", fin=False),
    "close in fragments": frame(CLOSE, struct.pack("!H", 1000), fin=False),
    "ping of 126 bytes": frame(PING, bytes(126)),
    "pong of 126 bytes": frame(PONG, bytes(126)),
    "close of 126 bytes": close(1000, b"x" * 124),
    "ping of 64 KiB": frame(PING, bytes(65535)),
    "length beyond 63 bits": frame(TEXT, bytes(20), length=2**63),
    "length of all ones": frame(BINARY, bytes(20), length=2**64 - 1),
    "close of one byte": frame(CLOSE, b"\x03"),
    **{
        f"close with {code}": close(code)
        for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
    },
    "a second handshake": handshake(),
    "a request": request(),
    "zeros that are not masked": bytes(100),
    "all ones": b"\xff" * 100,
}

#: 8.1. The last two are cut in the middle of a character.
INVALID_UTF8 = {
    "stray byte": b"\x80",
    "bytes that never are": b"\xff\xfe",
    "overlong slash": b"\xc0\xaf",
    "overlong NUL": b"\xc0\x80",
    "overlong of three bytes": b"\xe0\x80\xaf",
    "surrogate": b"\xed\xa0\x80",
    "pair of surrogates": b"\xed\xa0\x81\xed\xb0\x80",
    "beyond Unicode": b"\xf4\x90\x80\x80",
    "five bytes": b"\xf8\x88\x80\x80\x80",
    "behind good text": "hé".encode() + b"\xc3(",
    "no end": b"\xe2\x82",
    "no end, of four bytes": b"\xf0\x9f\x98",
}


@pytest.mark.parametrize("data", PROTOCOL_ERRORS.values(), ids=PROTOCOL_ERRORS)
def test_a_protocol_error_is_1002(target, data):
    """A length beyond what is allowed may be 1009 before it is wrong."""
    with target.socket("/wrong") as client:
        client.send(data)
        right = {1002, 1009} if data[1] & 127 == 127 or len(data) > MAX_MESSAGE - 1 else {1002}
        assert client.close_code() in right
        target.forgets_all()
    assert len(client.told("/wrong")) == 1


@pytest.mark.parametrize("width", [2, 8])
def test_a_length_in_more_bytes_than_it_needs_is_1002_or_read(target, width):
    """5.2 forbids a client to send it; a server need not look."""
    with target.socket() as client:
        client.send(frame(TEXT, b"hello", width=width))
        received = client.frame()
        if received.opcode == CLOSE:
            assert received.payload[:2] == struct.pack("!H", 1002)
        else:
            assert (received.opcode, received.payload) == (TEXT, b"hello")


@pytest.mark.parametrize("text", INVALID_UTF8.values(), ids=INVALID_UTF8)
def test_text_that_is_no_utf_8_is_1007(target, text):
    with target.socket() as client:
        client.send(frame(TEXT, text))
        assert client.close_code() == 1007


@pytest.mark.parametrize("text", INVALID_UTF8.values(), ids=INVALID_UTF8)
def test_text_that_is_no_utf_8_in_fragments_is_1007(target, text):
    fragments = [frame(CONTINUATION, bytes([byte]), fin=False) for byte in text]
    with target.socket() as client:
        client.send(frame(TEXT, b"", fin=False) + b"".join(fragments) + frame(CONTINUATION))
        assert client.close_code() == 1007


@pytest.mark.parametrize("text", INVALID_UTF8.values(), ids=INVALID_UTF8)
def test_a_reason_that_is_no_utf_8_is_1007(target, text):
    """Or 1002, as a close frame that is wrong."""
    with target.socket() as client:
        client.send(close(1000, text))
        assert client.close_code() in (1007, 1002)


def test_a_character_may_be_split_over_fragments(target):
    text = "€uro 😀".encode()
    fragments = [frame(CONTINUATION, bytes([byte]), fin=False) for byte in text[1:]]
    with target.socket() as client:
        client.send(frame(TEXT, text[:1], fin=False) + b"".join(fragments) + frame(CONTINUATION))
        assert client.frame().payload == text


def test_bytes_need_be_no_utf_8(target):
    with target.socket() as client:
        client.send(frame(BINARY, b"\xff\xfe\xed\xa0\x80"))
        assert client.frame().payload == b"\xff\xfe\xed\xa0\x80"


def test_a_ping_may_come_within_a_message(target):
    with target.socket() as client:
        client.send(first(frame(PING, b"p") + frame(CONTINUATION, b"b")))
        assert [(each.opcode, each.payload) for each in (client.frame(), client.frame())] == [
            (PONG, b"p"),
            (TEXT, b"ab"),
        ]


# Size ---------------------------------------------------------------------------------------------

HALF = MAX_MESSAGE // 2
TOO_BIG = {
    "one byte too much": frame(BINARY, bytes(MAX_MESSAGE + 1)),
    "text": frame(TEXT, b"x" * (MAX_MESSAGE + 1)),
    "announced: 1 MiB": frame(BINARY, b"", length=2**20),
    "announced: 4 GiB": frame(BINARY, b"", length=2**32),
    "announced: 2^63 - 1": frame(BINARY, b"", length=2**63 - 1),
    "two fragments": frame(BINARY, bytes(HALF), fin=False) + frame(CONTINUATION, bytes(HALF + 1)),
    "announced in a second fragment": first(frame(CONTINUATION, b"", length=2**40)),
    "many fragments": frame(BINARY, bytes(8000), fin=False)
    + frame(CONTINUATION, bytes(8000), fin=False) * 20,
    "too many fragments": first(frame(CONTINUATION, b"x", fin=False) * (MAX_FRAGMENTS + 1)),
    "too many empty fragments": first(frame(CONTINUATION, b"", fin=False) * (MAX_FRAGMENTS + 1)),
    "endless empty fragments": first(frame(CONTINUATION, b"", fin=False) * 20_000),
    "endless fragments of one byte": first(frame(CONTINUATION, b"x", fin=False) * 20_000),
    "empty fragments from the start": frame(TEXT, fin=False)
    + frame(CONTINUATION, fin=False) * 5000,
}


@pytest.mark.parametrize("data", TOO_BIG.values(), ids=TOO_BIG)
def test_a_message_over_a_limit_is_1009(target, data):
    with target.socket("/big") as client:
        client.send(data)
        assert client.close_code() == 1009
        target.forgets_all()
    assert len(client.told("/big")) == 1


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_the_largest_message_is_taken(target, opcode):
    with target.socket() as client:
        client.send(frame(opcode, b"x" * MAX_MESSAGE))
        received = client.frame()
        assert (received.opcode, len(received.payload)) == (opcode, MAX_MESSAGE)


# The end ------------------------------------------------------------------------------------------


def test_nothing_behind_a_close_frame_is_read(target):
    with target.socket() as client:
        client.send(close(1000) + frame(TEXT, b"hello") * 100)
        assert client.close_code() == 1000


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1011, 3000, 4999])
def test_a_lawful_close_is_answered(target, code):
    with target.socket("/code") as client:
        client.send(close(code, "bye é".encode()))
        assert client.close_code() == code
        target.forgets_all()
    assert client.told("/code") == [str(code)]


def test_many_close_frames_are_one(target):
    with target.socket("/closes") as client:
        client.send(close(1000) * 1000)
        assert client.close_code() == 1000
        target.forgets_all()
    assert client.told("/closes") == ["1000"]


@pytest.mark.parametrize("size", [1, 2, 5, 6, 10])
def test_a_frame_that_is_never_finished_ends_with_its_connection(target, size):
    """``size`` bytes of it; then the client says that nothing more will come."""
    with target.socket("/half") as client:
        client.send(frame(TEXT, b"hello")[:size])
        client.half_close()
        assert client.close_code() in (None, 1002, 1006)
        target.forgets_all()
    assert len(client.told("/half")) == 1
