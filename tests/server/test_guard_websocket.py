"""The guard of WebSockets: what a client may not do, and how its socket ends then."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import socket
import sys
import time
import zlib
from pathlib import Path

import pytest
from websockets.asyncio.client import connect as open_socket
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from channels_classic.layers.counters import Counter
from channels_classic.server.options import BadOption, ServerOptions
from channels_classic.server.rate import Rate
from tests.acceptance.processes import Process, free_port, wait_until
from tests.server.ends import until
from tests.server.hostile import Target
from tests.server.test_engine import served
from tests.server.test_websocket import DENIAL, closed, opened
from tests.server.wire import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, close, frame, handshake

ROOT = Path(__file__).parents[2]
#: Bytes of a message, fragments of one, pings a second: what these servers allow.
SIZE, FRAGMENTS, CONTROLS = 100_000, 10, 20
DEFLATE = {"Sec_WebSocket_Extensions": "permessage-deflate"}


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    """A server with small limits, and with deflate for those who ask for it."""
    port = free_port()
    limits = f"""--max-message-size {SIZE} --max-fragments {FRAGMENTS} --control-rate {CONTROLS}
        --write-timeout 1.5 --close-timeout 0.5 --deflate --ws-protocol known
        --max-pending-bytes 60000000"""
    command = [sys.executable, "-m", "channels_classic.cli", "server", "-p", str(port)]
    command += ["tests.server.site:channel_layer", *limits.split()]
    log = tmp_path_factory.mktemp("guard") / "server.log"
    with Process(command, log=log, cwd=ROOT) as process:
        process.wait_for_port(port, 40)
        yield Target(process, port)


@pytest.fixture
def counted(target):
    """``counted(counter)``: how many more have been counted since the test began."""

    def counts() -> dict[str, int]:
        connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=10)
        with contextlib.closing(connection):
            connection.request("GET", "/counts")
            return json.loads(connection.getresponse().read())

    before = counts()
    return lambda counter: counts()[counter] - before[counter]


def parts(opcode: int, *payloads: bytes, finished: bool = True) -> bytes:
    """A message in fragments."""
    last = len(payloads) - 1
    return b"".join(
        frame(CONTINUATION if number else opcode, each, fin=finished and number == last)
        for number, each in enumerate(payloads)
    )


def deflated(data: bytes) -> bytes:
    """``data`` as the payload of a frame."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -12)
    return (packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]


def is_open(client) -> bool:
    """Whether the socket still works."""
    client.send(frame(TEXT, b"still there?"))
    return client.frame().payload == b"still there?"


# Size and fragments -------------------------------------------------------------------------------


def test_a_message_of_the_largest_size_is_taken(target):
    with target.socket() as client:
        client.send(frame(BINARY, bytes(SIZE)))
        assert len(client.frame().payload) == SIZE


@pytest.mark.parametrize(
    "message",
    [
        frame(BINARY, bytes(SIZE + 1)),
        frame(TEXT, b"", length=2**62),
        parts(BINARY, bytes(SIZE), b"x"),
        parts(TEXT, *[b"x" * 20_000] * 6),
    ],
    ids=["one frame", "a claim", "two fragments", "six fragments"],
)
def test_a_larger_message_closes_with_1009(target, counted, message):
    with target.socket() as client:
        client.send(message)
        assert client.close_code() == 1009
    assert counted(Counter.OVERSIZE) == 1


def test_the_client_hears_of_it_while_it_still_sends(target):
    """A reset by the system would take the close frame from it."""
    with target.socket() as client:
        client.send(frame(BINARY, bytes(8 * 1024**2)))
        assert client.close_code() == 1009


def test_a_message_may_have_so_many_fragments(target):
    with target.socket() as client:
        client.send(parts(TEXT, *[b"x"] * FRAGMENTS))
        assert client.frame().payload == b"x" * FRAGMENTS
        assert is_open(client)


@pytest.mark.parametrize("payload", [b"x", b""])
def test_more_fragments_close_with_1009_empty_ones_too(target, counted, payload):
    with target.socket() as client:
        client.send(parts(TEXT, *[payload] * (FRAGMENTS + 1), finished=False))
        assert client.close_code() == 1009
    assert counted(Counter.OVERSIZE) == 1


def test_what_came_before_is_not_lost(target):
    with target.socket("/before") as client:
        client.send(frame(TEXT, b"work before") + frame(BINARY, bytes(SIZE + 1)))
        assert client.close_code() == 1009
    target.process.wait_for_line("work before ended")
    target.process.wait_for_line("disconnected /before 1009")


# Deflate ------------------------------------------------------------------------------------------


def test_a_compressed_message_comes_back(target):
    with connect(f"ws://127.0.0.1:{target.port}/") as client:
        assert "permessage-deflate" in client.response.headers["Sec-WebSocket-Extensions"]
        client.send("hello " * 1000)
        assert client.recv(timeout=10) == "hello " * 1000


@pytest.mark.parametrize("fragments", [1, 3])
def test_a_bomb_is_not_inflated(target, counted, fragments):
    bomb = deflated(bytes(90 * 1024**2))
    assert len(bomb) < SIZE  # the limit is for what it would become
    size = -(-len(bomb) // fragments)
    with target.socket(**DEFLATE) as client:
        for start in range(0, len(bomb), size):
            first, last = start == 0, start + size >= len(bomb)
            opcode, piece = BINARY if first else CONTINUATION, bomb[start : start + size]
            client.send(frame(opcode, piece, fin=last, rsv=4 if first else 0))
        assert client.close_code() == 1009
    assert counted(Counter.OVERSIZE) == 1


def test_what_cannot_be_inflated_closes_with_1002(target):
    with target.socket(**DEFLATE) as client:
        client.send(frame(TEXT, b"\xff\xff\xff\xff", rsv=4))
        assert client.close_code() == 1002


def test_without_deflate_a_compressed_message_closes_with_1002(target, counted):
    with target.socket() as client:
        client.send(frame(TEXT, deflated(b"hello"), rsv=4))
        assert client.close_code() == 1002
    assert counted(Counter.MALFORMED) == 1


async def test_deflate_is_off_by_default():
    async with served() as port, open_socket(f"ws://127.0.0.1:{port}/") as client:
        assert "Sec-WebSocket-Extensions" not in client.response.headers


# Control frames -----------------------------------------------------------------------------------


def test_pings_are_answered(target):
    with target.socket() as client:
        client.send(frame(PING, b"1") + frame(PING, b"2"))
        assert [client.frame().payload, client.frame().payload] == [b"1", b"2"]


@pytest.mark.parametrize("opcode", [PING, PONG])
def test_a_flood_of_control_frames_closes_with_1008(target, counted, opcode):
    with target.socket() as client:
        client.send(frame(opcode, bytes(125)) * 10_000)
        assert client.close_code() == 1008
    assert counted(Counter.FLOOD) == 1


def test_a_rate_is_for_every_second_and_bounds_what_is_saved_up():
    rate = Rate(10, now=100.0)
    assert [rate.allows(100.0) for _ in range(11)] == [True] * 10 + [False]
    assert [rate.allows(100.25) for _ in range(3)] == [True, True, False]
    assert [rate.allows(900.0) for _ in range(11)] == [True] * 10 + [False]


def test_a_rate_below_one_a_second_allows_one_now_and_then():
    rate = Rate(0.1, now=0.0)
    assert [rate.allows(now) for now in (0.0, 1.0, 9.0, 12.0, 13.0)] == [
        True,
        False,
        False,
        True,
        False,
    ]


# Frames that break the protocol -------------------------------------------------------------------


@pytest.mark.parametrize(
    "frames",
    [
        frame(TEXT, b"\xff"),
        frame(TEXT, b"\xed\xa0\x80"),
        frame(TEXT, b"cut off: \xe2\x82"),
        parts(TEXT, b"good", b"\xff", finished=False),
        parts(TEXT, b"cut off: \xe2", b"\x82"),
        close(1000, b"\xff"),
    ],
    ids=["a byte", "a surrogate", "cut off", "in a fragment", "cut off twice", "a reason"],
)
def test_text_that_is_not_utf_8_closes_with_1007(target, counted, frames):
    with target.socket() as client:
        client.send(frames)
        assert client.close_code() == 1007
    assert counted(Counter.MALFORMED) == 1


def test_a_character_may_be_in_two_fragments(target):
    with target.socket() as client:
        client.send(parts(TEXT, "ab€".encode()[:3], b"", "ab€".encode()[3:]))
        assert client.frame().payload == "ab€".encode()


def test_many_errors_in_one_go_are_one(target, counted):
    with target.socket() as client:
        client.send(frame(TEXT, b"\xff") * 3 + close(1000) + frame(TEXT, b"\xff"))
        assert client.close_code() == 1007
    assert counted(Counter.MALFORMED) == 1


def test_the_log_says_so_in_one_line_and_only_once_in_a_while(target):
    lines = target.process.output().count("\n")
    for _ in range(5):
        with target.socket("/malformed") as client:
            client.send(frame(TEXT, b"\xff"))
            assert client.close_code() == 1007
    said = [each for each in target.process.output().splitlines()[lines:] if "Closed a" in each]
    assert len(said) <= 1
    assert "Traceback" not in target.process.output()


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535])
def test_a_close_code_that_nobody_may_send_closes_with_1002(target, code):
    with target.socket() as client:
        client.send(close(code))
        assert client.close_code() == 1002


@pytest.mark.parametrize(
    "bad",
    [frame(CLOSE, b"x"), frame(CLOSE, bytes(126)), frame(CLOSE, b"", fin=False)],
    ids=["one byte", "too long", "fragmented"],
)
def test_a_bad_close_frame_closes_with_1002(target, bad):
    with target.socket() as client:
        client.send(bad)
        assert client.close_code() == 1002


def test_a_close_amid_a_message_is_a_close(target):
    with target.socket("/amid") as client:
        client.send(parts(TEXT, b"begun", finished=False) + close(4000, b"bye"))
        assert client.close_code() == 4000
    target.process.wait_for_line("disconnected /amid 4000")


# The handshake ------------------------------------------------------------------------------------


@pytest.mark.parametrize("offer", ["kn\u00f6wn, known", "a b, known", "known,", "known;x, known"])
def test_offers_that_are_no_subprotocols_are_ignored(target, offer):
    with target.attack() as client:
        client.send(handshake(Sec_WebSocket_Protocol=offer))
        answer = client.answer()
        assert answer.status == 101
        assert answer.headers["sec-websocket-protocol"] == ["known"]


@pytest.mark.parametrize("offer", ["other", "KNOWN", "kn\u00f6wn", "", None])
def test_a_subprotocol_is_only_one_that_the_client_has_offered(target, offer):
    with target.attack() as client:
        client.send(handshake(Sec_WebSocket_Protocol=offer))
        answer = client.answer()
        assert answer.status == 101
        assert "sec-websocket-protocol" not in answer.headers


def test_a_handshake_may_have_a_long_cookie(target):
    with target.socket(Cookie="x" * 30_000) as client:
        assert is_open(client)


async def test_frames_that_come_before_the_accept_wait_for_it():
    asked, accepted = asyncio.Event(), asyncio.Event()

    async def slow(scope, receive, send):
        await receive()
        asked.set()
        await accepted.wait()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": (await receive())["text"]})

    async with served(slow) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(handshake())
        await asked.wait()
        writer.write(frame(PING, b"early") + frame(TEXT, b"bird"))
        accepted.set()
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
        assert await reader.readexactly(7) == b"\x8a\x05early"
        assert await reader.readexactly(6) == b"\x81\x04bird"
        writer.close()


# Clients that do not read -------------------------------------------------------------------------


def test_a_client_that_does_not_read_is_cut(target, counted):
    with target.socket("/deaf", receive_buffer=4096) as client:
        client.send(frame(TEXT, b"much 16"))
        target.process.wait_for_line("disconnected /deaf 1006", 30)
        assert counted(Counter.OVERFLOW) == 1


def test_a_client_that_reads_slowly_is_not(target, counted):
    """It takes longer than the timeout, but there is some progress all the time."""
    with target.socket("/slow", receive_buffer=4096) as client:
        client.send(frame(TEXT, b"much 16"))
        for _ in range(16):
            assert client.frame().opcode == BINARY
            time.sleep(0.25)  # so slow is this client
        assert is_open(client)
    assert counted(Counter.OVERFLOW) == 0


def test_pings_of_a_client_that_does_not_read_are_not_read(target):
    """Or the answers would pile up."""
    with target.socket("/pings", receive_buffer=4096) as client:
        client.send(frame(TEXT, b"much 16"))
        queues = [0]

        def is_stuck() -> bool:
            queues.append(unsent(target, client))
            return queues[-1] == queues[-2] > 1_000_000

        wait_until(is_stuck, 30)
        assert client.pour(frame(PING, bytes(125)) * 100, 64 * 1024**2) < 64 * 1024**2
        target.process.wait_for_line("disconnected /pings 1006", 30)


def test_a_close_that_the_client_does_not_read_ends_all_the_same(target):
    with target.socket("/closed", receive_buffer=4096) as client:
        client.send(frame(TEXT, b"much 16") + close(1000))
        target.process.wait_for_line("disconnected /closed 1000|disconnected /closed 1006", 30)
        wait_until(lambda: unsent(target, client) is None, 20)


def unsent(target, client) -> int | None:
    """Bytes that wait in the kernel for ``client``; None when the server is done with it."""
    ends = [f":{target.port:04X}", f":{client.sock.getsockname()[1]:04X}"]
    for line in Path(f"/proc/{target.process.pid}/net/tcp").read_text().splitlines()[1:]:
        _, here, there, state, queues, *_ = line.split()
        if here.endswith(ends[0]) and there.endswith(ends[1]) and state == "01":
            return int(queues.partition(":")[0], 16)
    return None


async def test_what_a_silent_client_does_not_read_is_not_kept_for_it():
    """It fits into the kernel's buffers: only the missing pong tells, and a reset frees them."""

    async def talkative(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "bytes": bytes(300_000)})
        while (await receive())["type"] != "websocket.disconnect":
            pass

    async with served(talkative, ping_interval=0.1, ping_timeout=0.3) as port:
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", port))
        client.sendall(handshake())
        await until(lambda: client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
        client.close()


def test_a_client_that_does_not_answer_a_close_is_cut(target):
    with target.socket() as client:
        client.send(frame(TEXT, b"close 4000"))
        assert client.close_code() == 4000  # which waits for the end of the connection


# The application ----------------------------------------------------------------------------------


async def test_an_error_of_the_application_closes_with_1011(caplog):
    async def broken(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        raise RuntimeError("a mistake")

    async with served(broken) as port, open_socket(f"ws://127.0.0.1:{port}/") as client:
        with pytest.raises(ConnectionClosed) as raised:
            await client.recv()
    assert raised.value.rcvd.code == 1011
    assert caplog.text.count("Error in the application of a WebSocket") == 1


async def test_a_socket_whose_application_has_left_closes_with_1011():
    async def leaves(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})

    async with served(leaves) as port, open_socket(f"ws://127.0.0.1:{port}/") as client:
        with pytest.raises(ConnectionClosed) as raised:
            await client.recv()
    assert raised.value.rcvd.code == 1011


# Messages a second --------------------------------------------------------------------------------


async def test_too_many_messages_a_second_close_with_1008(socket_to, workers, layer):
    socket = socket_to(options={"message_rate": 1, "ordering": False})
    message = await opened(socket, workers)
    for number in range(500):
        socket.say(str(number))
    assert await socket.next_event() == closed(1008)
    socket.leave(1008)
    await socket.done()
    taken = workers.waiting("websocket.receive") + workers.waiting("websocket.disconnect")
    assert 1 <= taken < 100  # what came within the rate, and nothing after the close
    process = message["reply_channel"].partition("!")[0] + "!"
    await until(lambda: layer.channel_statistics(process)[Counter.FLOOD] == 1)


async def test_messages_within_the_rate_are_taken(socket_to, workers):
    socket = socket_to(options={"message_rate": 100})
    await opened(socket, workers)
    for number in range(100):
        socket.say(str(number))
    texts = [(await workers.take("websocket.receive"))["text"] for _ in range(100)]
    assert texts == [str(number) for number in range(100)]


async def test_there_is_no_rate_by_default(socket_to, workers):
    socket = socket_to()
    await opened(socket, workers)
    for number in range(300):
        socket.say(str(number))
    assert [(await workers.take("websocket.receive"))["order"] for _ in range(300)][-1] == 300


# Origins ------------------------------------------------------------------------------------------


def page_of(*origins: bytes) -> dict:
    return {"headers": [(b"origin", each) for each in origins], **DENIAL}


OWN = {"allowed_origins": ["https://example.com", "https://*.example.org"]}


@pytest.mark.parametrize("origin", [b"https://example.com", b"https://a.example.org"])
async def test_pages_of_allowed_origins_may_connect(socket_to, workers, origin):
    await opened(socket_to(options=OWN, **page_of(origin)), workers)


async def test_who_is_no_browser_may_connect(socket_to, workers):
    await opened(socket_to(options=OWN, **page_of()), workers)


@pytest.mark.parametrize(
    "origins",
    [
        [b"https://evil.example"],
        [b"http://example.com"],
        [b"https://example.com.evil.example"],
        [b"null"],
        [b""],
        [b"\xff"],
        [b"https://example.com", b"https://evil.example"],
    ],
)
async def test_other_pages_are_refused_with_403(socket_to, workers, layer, origins):
    [head, _] = await socket_to(options=OWN, **page_of(*origins)).done()
    assert head["status"] == 403
    assert b"retry-after" not in dict(head["headers"])
    assert workers.waiting("websocket.connect") == 0
    counts = layer.global_statistics
    await until(lambda: counts().get(Counter.REFUSED_ORIGIN) == 1)


async def test_without_allowed_origins_the_workers_decide(socket_to, workers):
    await opened(socket_to(**page_of(b"https://evil.example")), workers)


@pytest.mark.parametrize("pattern", ["", "https://", 7, "wss://example.com"])
def test_what_no_page_can_have_as_its_origin_cannot_be_allowed(pattern):
    with pytest.raises(BadOption, match="is not like https://example.com"):
        ServerOptions(allowed_origins=[pattern])
