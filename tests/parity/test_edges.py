"""What the interface server makes of clients at the edges of their protocols."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import sys
from pathlib import Path

import pytest
from websockets.sync.client import connect

from tests.acceptance.processes import Process, free_port

ROOT = Path(__file__).parents[2]
HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: {version}\r\n\r\n"
)
#: A text frame of a client, "bye", masked with zeros.
FRAME = b"\x81\x83\x00\x00\x00\x00bye"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The port and the process of a server that tests share."""
    number = free_port()
    command = [sys.executable, "-m", "channels_classic.cli", "server"]
    command += ["tests.parity.site:channel_layer", "--port", str(number)]
    command += ["--ping-interval", "0.2", "--ping-timeout", "0.2"]
    log = tmp_path_factory.mktemp("edges") / "server.log"
    with Process(command, log=log, cwd=ROOT) as process:
        process.wait_for_port(number)
        yield number, process


@contextlib.contextmanager
def raw(port, text):
    """A connection on which ``text`` was sent, as the client wrote it."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(text.encode("latin-1"))
        yield client


def read_until(client, end):
    """What the server sent, up to and with ``end``."""
    data = b""
    while end not in data:
        part = client.recv(4096)
        assert part, data
        data += part
    return data


def fetch(port, path):
    """The path that the consumer saw."""
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with raw(port, request) as client, client.makefile("rb") as answer:
        return answer.read().partition(b"\r\n\r\n")[2].decode()


# HTTP -------------------------------------------------------------------------------------------


def test_a_path_is_decoded_and_a_plus_stays(server):
    assert fetch(server[0], "/caf%C3%A9/a%20b+c") == "/café/a b+c"


def test_bad_utf8_in_a_path_is_replaced(server):
    assert fetch(server[0], "/%ff") == "/�"


def test_a_second_request_waits_for_the_first_answer(server):
    port, process = server
    requests = [f"GET /{path} HTTP/1.1\r\nHost: localhost\r\n\r\n" for path in ("slow", "second")]
    with raw(port, "".join(requests)) as client:
        read_until(client, b"/second")
    steps = re.findall("^(?:request|answer) /(?:slow|second)$", process.output(), re.MULTILINE)
    assert steps == ["request /slow", "answer /slow", "request /second", "answer /second"]


# WebSockets -------------------------------------------------------------------------------------


def test_a_connect_has_the_headers_of_the_handshake(server):
    port, process = server
    with connect(f"ws://127.0.0.1:{port}/headers", additional_headers={"X-Room": "red"}):
        headers = json.loads(process.wait_for_line(r"^connect /headers (.+)$")[1])
    assert (headers["x-room"], headers["sec-websocket-version"]) == ("red", "13")


def test_a_websocket_of_another_version_is_refused(server):
    with raw(server[0], HANDSHAKE.format(path="/version", version=12)) as client:
        head = read_until(client, b"\r\n\r\n").decode("latin-1")
    assert head.startswith("HTTP/1.1 426 ")
    assert "\r\nsec-websocket-version: 13\r\n" in head


def test_text_that_is_no_utf8_ends_the_socket(server):
    port, process = server
    with connect(f"ws://127.0.0.1:{port}/utf8") as client:
        client.protocol.send_text(b"\xff")
        client.socket.sendall(b"".join(client.protocol.data_to_send()))
        process.wait_for_line(r"^disconnect /utf8 1007$")


def test_a_client_that_answers_no_ping_is_dropped(server):
    port, process = server
    with raw(port, HANDSHAKE.format(path="/mute", version=13)) as client:
        assert read_until(client, b"\r\n\r\n").startswith(b"HTTP/1.1 101")
        process.wait_for_line(r"^disconnect /mute 1006$")


def test_consumers_hear_at_once_of_the_close_that_they_asked_for(server):
    port, process = server
    with raw(port, HANDSHAKE.format(path="/deaf", version=13)) as client:
        read_until(client, b"\r\n\r\n")
        client.sendall(FRAME)
        assert read_until(client, b"\x88\x02\x03\xe8")  # which is not answered
        process.wait_for_line(r"^disconnect /deaf 1000$", timeout=5)
