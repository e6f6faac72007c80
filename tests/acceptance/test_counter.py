"""The example's counter by a real server, two workers and Redis: many at once, and none is lost."""

from __future__ import annotations

import http.client
import json
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from websockets.sync.client import ClientConnection, connect

from tests.acceptance.browser import ROOT
from tests.acceptance.processes import Process, free_port
from tests.conftest import RedisServer

CLIENTS = 10
PRESSES = 10  # of each client
SOCKETS = 5
COMMANDS = Path(sys.executable).parent


@pytest.fixture
def port(tmp_path: Path, own_redis: RedisServer) -> Iterator[int]:
    """Where the example site is, on an empty database and a Redis of its own."""
    own_redis.start()
    port = free_port()
    env = {
        "REDIS_URL": own_redis.url,
        "VAR_FOLDER": str(tmp_path / "var"),
        "DJANGO_SETTINGS_MODULE": "project.settings",
    }

    def process(name: str, *command: str) -> Process:
        log = tmp_path / f"{name}.log"
        return Process(command, log=log, env=env, cwd=ROOT / "workers")

    manage = [sys.executable, "manage.py"]
    with process("migrate", *manage, "migrate") as migration:
        assert migration.wait(60) == 0, migration.report()
    with ExitStack() as started:
        command = [str(COMMANDS / "channels-classic"), "server", "project.asgi:channel_layer"]
        server = started.enter_context(process("server", *command, "--port", str(port)))
        for number in range(2):
            worker = started.enter_context(process(f"worker-{number}", *manage, "runworker"))
            worker.wait_for_line("Channels: ")
        server.wait_for_port(port)
        yield port


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
