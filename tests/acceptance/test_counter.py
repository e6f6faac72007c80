"""The example's counter by a real server, two workers and Redis: many at once, and none is lost."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from websockets.sync.client import ClientConnection, connect

from tests.acceptance.browser import split_site
from tests.conftest import RedisServer

CLIENTS = 10
PRESSES = 10  # of each client
SOCKETS = 5


@pytest.fixture
def port(tmp_path: Path, own_redis: RedisServer) -> Iterator[int]:
    """Where the example site is, on an empty database and a Redis of its own."""
    own_redis.start()
    with split_site(tmp_path, own_redis.url) as site:
        for _ in range(2):
            site.add_worker()
        yield site.port


def press(port: int, start: threading.Barrier) -> list[int]:
    """One HTTP client's increments, on a connection of its own; the values it was answered."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    start.wait(60)
    answers = []
    for _ in range(PRESSES):
        connection.request("POST", "/api/counter/increment/")
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 200, body
        answers.append(json.loads(body)["value"])
    connection.close()
    return answers


def highest_heard(socket: ClientConnection, until: int) -> int:
    """The highest value that a socket was told, as a page shows it."""
    highest = 0
    while highest < until:
        highest = max(highest, json.loads(socket.recv(timeout=30))["value"])
    return highest


def test_of_a_hundred_increments_at_once_none_is_lost_and_every_socket_hears_the_last(port):
    total = CLIENTS * PRESSES
    with ExitStack() as opened, ThreadPoolExecutor(CLIENTS) as pool:
        address = f"ws://127.0.0.1:{port}/counter/"
        origin = f"http://127.0.0.1:{port}"
        sockets = [opened.enter_context(connect(address, origin=origin)) for _ in range(SOCKETS)]
        start = threading.Barrier(CLIENTS)
        clients = [pool.submit(press, port, start) for _ in range(CLIENTS)]
        answers = [value for client in clients for value in client.result(90)]
        assert sorted(answers) == list(range(1, total + 1))  # and no value was answered twice
        assert [highest_heard(socket, total) for socket in sockets] == [total] * SOCKETS
        with connect(address, origin=origin) as late:
            assert json.loads(late.recv(timeout=30)) == {"value": total, "stored": True}
