"""The engine hypercorn: the same limits as the other engine's, and those of HTTP/2."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket

import pytest
from h2.errors import ErrorCodes
from websockets.exceptions import ConnectionClosed

from channels_classic.server.engines.hypercorn_body import BodyRate
from tests.acceptance.processes import wait_until
from tests.engines.http2 import Socket
from tests.engines.running import first_line, kept, running

LENGTH, CHUNKED = b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"


# Limits -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /hello HTTP/1.1\r\nHost: a\r\nX-A: " + b"x" * 9000 + b"\r\n\r\n", 431),
        (b"GET /hello HTTP/1.1\r\nHost: a\r\nX-A: " + b"x" * 9000, 431),
        (b"GET /hello HTTP/1.1\r\nHost: a\r\n" + b"X-A: 1\r\n" * 20 + b"\r\n", 431),
        (b"GET /hello HTTP/1.1\nHost: a\n\n", 400),
        (b"GET /hello HTTP/1.1\r\nHost: a\r\nX-A: 1\r\n 2\r\n\r\n", 400),
        (b"POST /seen HTTP/1.1\r\nHost: a\r\n" + LENGTH + CHUNKED + b"\r\n0\r\n\r\n", 400),
        (b"POST /seen HTTP/1.1\r\nHost: a\r\n" + LENGTH * 2 + b"\r\nhello", 400),
        (b"POST /seen HTTP/1.0\r\nHost: a\r\n" + CHUNKED + b"\r\n0\r\n\r\n", 400),
        (b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", 501),
        (b"get /hello HTTP/1.1\r\nHost: a\r\n\r\n", 501),
        (b"GET hello HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /hello HTTP/1.2\r\nHost: a\r\n\r\n", 505),
        (b"GET /hello HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n", 426),
        (b"GET /hello HTTP/1.1\r\nHo", 408),
    ],
    ids=[
        "long",
        "endless",
        "many fields",
        "LF alone",
        "a folded line",
        "length and chunks",
        "two lengths",
        "chunks in HTTP/1.0",
        "CONNECT",
        "odd method",
        "no path",
        "odd version",
        "no key",
        "slow",
    ],
)
def test_a_bad_head_is_refused(strict, head, status):
    with strict.raw() as client:
        client.sendall(head)
        assert first_line(client).startswith(b"HTTP/1.1 %d " % status)


def test_requests_may_come_ahead_and_each_has_its_answer(strict):
    """The body and the next heads are in one packet: none is taken for another."""
    post = b"POST /seen HTTP/1.1\r\nHost: localhost\r\n" + LENGTH + b"\r\nhello"
    last = b"GET http://localhost/hello#x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with strict.raw() as client, client.makefile("rb") as file:
        client.sendall(post * 3 + last)
        answers = file.read()
    assert re.findall(rb"HTTP/1.1 (\d+) ", answers) == [b"200"] * 4
    assert answers.endswith(b"\r\n\r\nhello")


def test_a_doubtful_line_is_found_behind_another_request(strict):
    with strict.raw() as client, client.makefile("rb") as file:
        client.sendall(
            b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n"
            b"GET /hello HTTP/1.1\nHost: localhost\n\n"
        )
        assert re.findall(rb"HTTP/1.1 (\d+) ", file.read()) == [b"200", b"400"]


def test_a_body_of_padding_is_refused(strict):
    head = b"POST /seen HTTP/1.1\r\nHost: localhost\r\n" + CHUNKED + b"\r\n"
    with strict.raw() as client, client.makefile("rb") as file:
        client.sendall(head + b"1;%b\r\nx\r\n" * 10 % ((b"x" * 4000,) * 10))
        assert file.readline().startswith(b"HTTP/1.1 400 ")


def test_the_next_head_has_its_deadline_too(strict):
    with strict.raw() as client, client.makefile("rb") as file:
        client.sendall(b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\nGET /hello HTTP/1.1\r\nHo")
        first, second = re.findall(rb"HTTP/1.1 (\d+) ", file.read())
    assert (first, second) == (b"200", b"408")


@pytest.mark.parametrize("request_first", [False, True])
def test_a_silent_connection_is_closed(strict, request_first):
    with strict.raw() as client:
        if request_first:
            client.sendall(b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with client.makefile("rb") as file:
            assert (b"hello" in file.read()) is request_first


def test_an_idle_connection_of_http2_is_told_goodbye(strict):
    with strict.http2() as client:
        client.fetch("/hello")
        assert client.goaway_code() == ErrorCodes.NO_ERROR


def test_http2_has_the_same_limits_for_heads(strict):
    with strict.http2() as client:
        fields = [(f"x-{number}", "1") for number in range(21)]
        assert client.fetch("/hello", *fields)[0] == "431"
        assert client.fetch("/hello") == ("200", b"hello")
        client.ask("/hello", ("x-long", "x" * 9000))
        assert client.goaway_code() != ErrorCodes.NO_ERROR


def test_a_path_that_is_not_ascii_is_refused(strict):
    with strict.http2() as client:
        assert client.head(client.ask("/caf\xe9"))[":status"] == "400"
        assert client.fetch("/hello") == ("200", b"hello")


def test_nothing_but_websockets_goes_over_streams(strict):
    with strict.http2() as client:
        assert Socket(client, protocol="connect-udp").head[":status"] == "501"
        assert client.fetch("/hello") == ("200", b"hello")


def test_a_flood_of_controls_ends_the_connection(strict):
    with strict.http2() as client:
        for _ in range(200):
            client.h2.ping(b"12345678")
        client.flush()
        assert client.goaway_code() == ErrorCodes.ENHANCE_YOUR_CALM


def test_streams_that_are_begun_and_left_are_a_flood(strict):
    with strict.http2() as client:
        with contextlib.suppress(OSError):
            for _ in range(200):
                client.h2.reset_stream(client.ask("/never"))
                client.flush()
        assert client.goaway_code() == ErrorCodes.ENHANCE_YOUR_CALM


def test_a_stream_that_is_not_read_is_reset_and_the_others_are_not(strict):
    with strict.http2(reads=False) as client:
        stream = client.ask("/big")
        assert client.reset_code(stream) == ErrorCodes.CANCEL
        client.h2.increment_flow_control_window(2**20)
        assert client.fetch("/hello") == ("200", b"hello")
    strict.process.wait_for_line("Closed a stream: it read nothing for 1 s", 30)


def test_a_connection_that_is_not_read_is_closed(strict):
    with contextlib.closing(socket.socket()) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(30)
        client.connect(("127.0.0.1", strict.port))
        client.sendall(b"GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n")
        strict.process.wait_for_line("left /endless", 30)  # it is still there


def test_a_body_that_comes_too_slowly_is_408():
    async def app(scope, receive, send):
        assert [await receive(), await receive()] == [part, {"type": "http.disconnect"}]

    sent = []
    part = {"type": "http.request", "body": b"x", "more_body": True}
    parts = [part]

    async def receive():
        if parts:
            return parts.pop()
        return await asyncio.Future()

    async def send(event):
        sent.append(event)

    asyncio.run(BodyRate(app, 500, grace=0.05)({"type": "http"}, receive, send))
    assert [event.get("status") for event in sent] == [408, None]


@pytest.mark.parametrize(
    ("sent", "code"),
    [("x" * 100_001, 1009), ("✓" * 40_000, 1009), (["x"] * 11, 1009), ([""] * 11, 1009)],
    ids=["long", "long in bytes", "fragments", "empty fragments"],
)
def test_a_message_over_a_limit_closes_the_socket(strict, sent, code):
    with strict.websocket() as client:
        with contextlib.suppress(ConnectionClosed):
            client.send(iter(sent) if isinstance(sent, list) else sent)
        with pytest.raises(ConnectionClosed) as raised:
            client.recv(timeout=30)
    assert raised.value.rcvd.code == code


def test_a_flood_of_pings_closes_the_socket(strict):
    with strict.websocket() as client:
        with contextlib.suppress(ConnectionClosed):
            for _ in range(50):
                client.ping()
        with pytest.raises(ConnectionClosed) as raised:
            client.recv(timeout=30)
    assert raised.value.rcvd.code == 1008


@pytest.mark.parametrize("deflate", [False, True])
def test_messages_are_compressed_if_that_is_wanted(tmp_path, deflate):
    option = "--deflate" if deflate else "--no-deflate"
    with running(tmp_path, option, "--max-message-size", 100_000) as server:
        with server.websocket() as client:
            offered = client.response.headers.get("Sec-WebSocket-Extensions", "")
            assert ("permessage-deflate" in offered) is deflate
            client.send("hello " * 1000)
            assert client.recv(timeout=30) == "hello " * 1000
            with contextlib.suppress(ConnectionClosed):
                client.send("x" * 10_000_000)
            with pytest.raises(ConnectionClosed) as raised:
                client.recv(timeout=30)
        assert raised.value.rcvd.code == 1009


def test_a_client_without_pongs_is_closed(tmp_path):
    options = ["--ping-interval", 0.2, "--ping-timeout", 0.5, "--close-timeout", 0.5]
    with (
        running(tmp_path, *options) as server,
        server.websocket() as other,
        server.raw() as client,
    ):
        client.sendall(
            b"GET /mute HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
        )
        with client.makefile("rb") as file:
            assert file.read().endswith(b"\x88\x02\x03\xf3")  # 1011
        server.process.wait_for_line("^disconnected /mute 1011$", 30)
        other.send("still there")
        assert other.recv(timeout=30) == "still there"


def test_connections_over_the_limit_are_told_so(tmp_path):
    with running(tmp_path, "--max-connections", 1) as server:
        admitted = wait_until(lambda: kept(server), 30)
        with contextlib.closing(admitted), server.raw() as client:
            assert first_line(client).startswith(b"HTTP/1.1 503 ")
