"""Junk of a fixed seed: whatever comes, the answer is one that HTTP and WebSockets know."""

from __future__ import annotations

import random

import pytest

from tests.server import hostile
from tests.server.wire import BINARY, CLOSE, PING, TEXT, chunk, frame, handshake, post, request

ROUNDS = 25
#: What may be said to a request that has been garbled.
STATUSES = {100, 101, 200, 400, 403, 405, 408, 413, 414, 417, 426, 431, 501, 505}
CODES = {1000, 1002, 1005, 1007, 1008, 1009, 1011}

SEEDS = [
    request("Connection: close"),
    post("Content-Length: 5", "Connection: close", body=b"12345"),
    post("Transfer-Encoding: chunked", body=chunk(b"12345") + b"0\r\nX-A: b\r\n\r\n"),
    handshake(),
    request() + post("Content-Length: 5", body=b"12345") + request("Connection: close"),
]
FRAMES = [
    frame(TEXT, "héllo".encode()),
    frame(BINARY, bytes(200)),
    frame(TEXT, b"a", fin=False) + frame(PING, b"p") + frame(0, b"b"),
    frame(CLOSE, b"\x03\xe8bye"),
]
SPECIAL = [
    b"\x00",
    b"\r",
    b"\n",
    b"\r\n",
    b"\r\n\r\n",
    b":",
    b" ",
    b"\t",
    b"\xff",
    b"0",
    b"%",
    b";",
]


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    options = ["--max-head", 8192, "--max-message-size", 65536, "--max-body", 100_000]
    options += ["--head-timeout", 5, "--keep-alive", 5, "--close-timeout", 0.5]
    with hostile.attacked(tmp_path_factory.mktemp("junk"), *options) as found:
        yield found


def garbled(chance, data):
    """``data`` with a few bytes changed, put in, taken out, doubled or cut off."""
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data) + 1)
        to = min(len(data), at + chance.randint(1, 8))
        data = chance.choice(
            [
                data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :],
                data[:at] + chance.choice(SPECIAL) + data[at:],
                data[:at] + data[to:],
                data[:to] + data[at:],
                data[:at],
            ]
        )
    return data


@pytest.mark.parametrize("seed", range(5))
def test_random_bytes_get_a_refusal_or_silence(target, seed):
    chance = random.Random(seed)
    with target.crowd(ROUNDS) as clients:
        for client in clients:
            client.send(chance.randbytes(chance.randint(1, 3000)))
            client.half_close()
        for client in clients:
            assert client.statuses() in ([], [400], [408], [414], [431], [505])


@pytest.mark.parametrize("seed", range(10))
def test_garbled_requests_get_answers_that_exist(target, seed):
    chance = random.Random(seed)
    with target.crowd(ROUNDS) as clients:
        for client in clients:
            client.send(garbled(chance, chance.choice(SEEDS)))
            client.half_close()
        for client in clients:
            data = client.remains()
            assert {int(line.split()[1]) for line in status_lines(data)} <= STATUSES, data


def status_lines(data):
    """The status lines in ``data``, which is nothing else than answers."""
    assert data[:9] in (b"", b"HTTP/1.1 "), data
    return [line for line in data.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]


@pytest.mark.parametrize("seed", range(10))
def test_garbled_frames_get_an_echo_or_a_close_code_that_exists(target, seed):
    chance = random.Random(seed)
    with target.crowd(ROUNDS) as clients:
        for client in clients:
            client.send(handshake())
            assert client.answer().status == 101
            client.send(garbled(chance, chance.choice(FRAMES)))
            client.half_close()
        for client in clients:
            assert client.close_code() in {*CODES, None}


@pytest.mark.parametrize("seed", range(5))
def test_random_bytes_for_frames_get_a_close_code_that_exists(target, seed):
    chance = random.Random(seed)
    with target.crowd(ROUNDS) as clients:
        for client in clients:
            client.send(handshake() + chance.randbytes(chance.randint(1, 300)))
            client.half_close()
        for client in clients:
            answers = client.remains()
            assert answers[:12] in (b"HTTP/1.1 101", b"HTTP/1.1 400", b""), answers
