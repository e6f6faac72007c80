"""A rolling restart: SIGHUP replaces every server process, and no client of a page notices.

Clients ask over connections that they keep, one request soon after the other, so that there is
always one on its way to a process that leaves. None is asked a second time: an answer that does not
come, or comes for another question, is a failure.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.bus import BusSite
from tests.acceptance.crowd import crowd, until, wait_for_workers
from tests.acceptance.processes import Process
from tests.acceptance.soak import figures, size
from tests.conftest import RedisServer

REQUESTS = size(short=4_000, full=100_000)
RESTARTS = 2
CLIENTS = 16
SOCKETS = size(short=40, full=1_000)
#: How long a client waits before it asks again, in seconds.
PAUSE = size(short=0.02, full=0.0)
#: How long one answer may take, and one restart, in seconds: far more than either does.
PATIENCE, RESTART = 30.0, 90.0
DEADLINE = size(short=240, full=3000)
pytestmark = pytest.mark.timeout(DEADLINE)


@pytest.fixture
def site(tmp_path: Path, own_redis: RedisServer) -> Iterator[BusSite]:
    """Two workers; the test starts the server."""
    own_redis.start()
    with BusSite(tmp_path, own_redis.url) as site:
        site.workers(2, "--threads", "2")
        wait_for_workers(site, 2)
        yield site


def served(process: Process, number: int) -> bool:
    """Whether so many processes have been ready since the start."""
    return len(re.findall(r"Process \d+ serves$", process.output(), re.MULTILINE)) >= number


class Clients:
    """Ask for pages until all is over, and write down what did not go well."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.over = asyncio.Event()
        self.answers = 0
        self.connections = 0
        self.failures: list[str] = []

    async def run(self, number: int) -> None:
        """One client."""
        serial = 0
        while not self.over.is_set():
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            self.connections += 1
            try:
                stays = True
                while stays and not self.over.is_set() and not await _is_closed(reader):
                    serial += 1
                    stays = await self._ask(f"client {number} asks {serial}", reader, writer)
            finally:
                writer.transport.abort()

    async def _ask(
        self, token: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Whether the connection can be used again."""
        body = token.encode()
        head = f"POST /digest/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
        try:
            async with asyncio.timeout(PATIENCE):
                writer.write(head.encode() + body)
                status, stays, answer = await _answer(reader)
        except (OSError, EOFError, TimeoutError) as error:
            self.failures.append(f"{token}: {error!r}")
            return False
        expected = {"length": len(body), "sha256": hashlib.sha256(body).hexdigest()}
        if status != "200" or json.loads(answer) != expected:
            self.failures.append(f"{token}: {status} {answer!r}")
        self.answers += 1
        return stays


async def _is_closed(reader: asyncio.StreamReader) -> bool:
    """Whether the server has closed a connection on which nothing is asked."""
    await asyncio.sleep(PAUSE)
    return reader.at_eof()


async def _answer(reader: asyncio.StreamReader) -> tuple[str, bool, bytes]:
    """The status, whether the connection stays, and the body."""
    start, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().splitlines()
    headers = dict(line.split(": ", 1) for line in lines if line)
    body = await reader.readexactly(int(headers["content-length"]))
    return start.split(" ", 2)[1], headers.get("connection") != "close", body


async def restart(site: BusSite, server: Process, number: int) -> float:
    """Have all processes replaced for the ``number``th time; how long it took, in seconds."""
    before = site.journal.count("gone")
    async with crowd([site.url("/order/")] * SOCKETS) as members:
        began = time.monotonic()
        server.send_signal(signal.SIGHUP)
        await until(lambda: all(each.code for each in members), RESTART, "all sockets to be closed")
        assert Counter(each.code for each in members) == {1012: SOCKETS}
        await until(lambda: served(server, 2 + 2 * number), RESTART, "two new processes")
        seconds = time.monotonic() - began
    await until(
        lambda: site.journal.count("gone") == before + SOCKETS, RESTART, "consumers to be told"
    )
    return seconds


async def load_and_restart(site: BusSite, server: Process) -> tuple[Clients, list[float]]:
    """Requests all the time, and meanwhile one restart after the other."""
    clients = Clients(site.port)
    seconds = []
    async with asyncio.TaskGroup() as tasks:
        for number in range(CLIENTS):
            tasks.create_task(clients.run(number))
        while len(seconds) < RESTARTS or clients.answers < REQUESTS:
            seconds.append(await restart(site, server, len(seconds) + 1))
            assert not clients.failures
        clients.over.set()
    return clients, seconds


def test_a_rolling_restart_loses_no_request_and_tells_every_socket(site: BusSite) -> None:
    server = site.server("--processes", "2", "-v", "1", "--access-log", "/dev/null")
    began = time.monotonic()
    clients, seconds = asyncio.run(load_and_restart(site, server))
    took = time.monotonic() - began
    figures(
        "Rolling restart",
        f"{clients.answers} requests of {CLIENTS} clients in {took:.0f} s",
        f"{len(clients.failures)} failed",
        f"{len(seconds)} restarts of at most {max(seconds):.1f} s",
        f"{clients.connections} connections",
        f"{SOCKETS * len(seconds)} sockets closed with 1012",
    )
    assert clients.failures == []
    assert clients.answers >= REQUESTS
    assert clients.connections > CLIENTS  # they have seen the restarts
    assert server.terminate() == 0
