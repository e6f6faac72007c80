"""Every answer reaches the client that asked, whoever dies or leaves meanwhile.

Each request and each message of a socket carries a token of its own, which the answer repeats.
Workers are killed, and clients leave before their answer: one that were handed to the next client
on the same connection to the bus, or under the same name, would show.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count

import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.acceptance.conftest import Site
from tests.acceptance.soak import figures, size
from tests.conftest import RedisServer

ANSWERS = size(short=8_000, full=1_000_000)
KILLS_EVERY = size(short=0.5, full=2.0)
HTTP_CLIENTS, SOCKETS, WORKERS = 12, 6, 3
#: One of so many requests is given up by its client, at any moment.
GIVES_UP = 20
#: How long an answer may take, in seconds; a killed worker's never comes.
PATIENCE = 4
DEADLINE = size(short=110, full=3000)
pytestmark = pytest.mark.timeout(DEADLINE)


@pytest.fixture
def site(make_site: Callable[[str], Site], own_redis: RedisServer) -> Iterator[Site]:
    own_redis.start()
    site = make_site(own_redis.url)
    site.server("--http-timeout", str(PATIENCE), "-v", "0").wait_for_port(site.port)
    for _ in range(WORKERS):
        site.worker("--skip-checks", "--threads", "2")
    return site


class Crowd:
    """Clients that check their answers, until there have been enough."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.answers = 0
        self.seen: Counter[str] = Counter()
        self.wrong: list[tuple[str, str]] = []
        self.kills = 0
        self._chance = random.Random(5)
        self._end = time.monotonic() + DEADLINE - 20

    @property
    def goes_on(self) -> bool:
        """Whether there have not been enough."""
        assert time.monotonic() < self._end, f"only {self.answers} answers: {self.seen}"
        return self.answers < ANSWERS and not self.wrong

    def check(self, token: str, answer: str) -> None:
        """Note an answer to ``token``."""
        self.answers += 1
        if answer != token:
            self.wrong.append((token, answer))

    async def run(self) -> None:
        """Until enough answers have come."""
        async with asyncio.TaskGroup() as tasks:
            for number in range(HTTP_CLIENTS):
                tasks.create_task(self._http_client(f"http-{number}"))
            for number in range(SOCKETS):
                tasks.create_task(self._socket_client(f"socket-{number}"))
            tasks.create_task(self._kill())

    # HTTP -------------------------------------------------------------------------------

    async def _http_client(self, name: str) -> None:
        numbers = count()
        while self.goes_on:
            try:
                await self._one_connection(name, numbers)
            except (OSError, EOFError):
                self.seen["connection lost"] += 1

    async def _one_connection(self, name: str, numbers: Iterator[int]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.site.port)
        try:
            while self.goes_on:
                token = f"{name}-{next(numbers)}"
                writer.write(f"GET /?token={token} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                if not self._chance.randrange(GIVES_UP):
                    self.seen["given up"] += 1
                    await asyncio.sleep(self._chance.random() * 0.01)
                    return
                status, body = await _answer(reader)
                self.seen[status] += 1
                if status == "200":
                    self.check(token, json.loads(body)["token"])
        finally:
            writer.transport.abort()

    # Sockets ----------------------------------------------------------------------------

    async def _socket_client(self, name: str) -> None:
        numbers = count()
        while self.goes_on:
            url = self.site.socket
            async with connect(url, open_timeout=60, ping_interval=None, compression=None) as ws:
                await self._talk(ws, name, numbers)

    async def _talk(self, ws: ClientConnection, name: str, numbers: Iterator[int]) -> None:
        while self.goes_on and self._chance.randrange(GIVES_UP * 10):
            token = f"{name}-{next(numbers)}"
            await ws.send(token)
            try:
                async with asyncio.timeout(PATIENCE * 2):
                    answer = str(await ws.recv())
            except TimeoutError:  # a killed worker had it
                self.seen["silence"] += 1
                return
            self.seen["echo"] += 1
            self.check(token, answer.partition(" ")[2])
        await ws.send(f"{name} leaves")  # and does not wait for the answer

    # Workers ----------------------------------------------------------------------------

    async def _kill(self) -> None:
        workers = [each for each in self.site.processes if "worker" in each.log.name]
        while self.goes_on:
            await asyncio.sleep(KILLS_EVERY)
            victim = workers.pop(0)
            assert victim.popen is not None
            os.kill(victim.popen.pid, 9)
            victim.popen.wait()
            self.kills += 1
            options = ("--skip-checks", "--threads", "2")
            workers.append(await asyncio.to_thread(self.site.worker, *options))


async def _answer(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    """The status and the body of one answer."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = next(line for line in head.split("\r\n") if line.startswith("content-length:"))
    return head.split(" ", 2)[1], await reader.readexactly(int(length.partition(":")[2]))


def test_no_answer_reaches_another_client(site: Site) -> None:
    crowd = Crowd(site)
    began = time.monotonic()
    asyncio.run(crowd.run())
    seconds = time.monotonic() - began
    seen = ", ".join(f"{number} {what}" for what, number in sorted(crowd.seen.items()))
    figures("Answers", f"{crowd.answers} in {seconds:.0f} s", f"{crowd.kills} kills", seen)
    assert crowd.wrong == []
    assert crowd.kills >= 2
    assert crowd.seen["given up"] >= 10
    assert crowd.seen.keys() <= {"200", "503", "504", "echo", "given up", "silence"}
