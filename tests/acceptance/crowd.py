"""Many clients of the sockets in ``bus_site/groups``, in one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.acceptance.bus import BusSite
from tests.acceptance.processes import wait_until

#: How many handshakes are under way at the same time.
AT_ONCE = 50
POLL = 0.01


async def until(condition: Callable[[], Any], timeout: float, what: str) -> float:
    """The seconds it took until ``condition`` was true; ``AssertionError`` when it takes longer."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < timeout, f"not within {timeout} s: {what}"
        await asyncio.sleep(POLL)
    return time.monotonic() - began


def wait_for_workers(site: BusSite, number: int) -> None:
    """Until so many workers have said that they read what sockets send: then none is refused."""
    shard = site.layer.shards[0]
    key = shard.keys.workers("websocket.connect")
    wait_until(lambda: shard.call(("ZCARD", key))[0] >= number, 10, f"{number} workers")


def free_ports(number: int) -> list[int]:
    """Different ports of 127.0.0.1 that nobody listens on at this moment."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(number)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


class Member:
    """One open socket, with all the texts that have come."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.texts: list[str] = []
        #: The code it was closed with, by whomever.
        self.code: int | None = None
        self._ws: ClientConnection
        self._reading: asyncio.Task[None]

    async def open(self) -> Self:
        """Open it, and begin to read."""
        self._ws = await connect(
            self.url, open_timeout=30, close_timeout=10, ping_interval=None, compression=None
        )
        self._reading = asyncio.create_task(self._read())
        return self

    async def _read(self) -> None:
        try:
            while True:
                self.texts.append(str(await self._ws.recv()))
        except ConnectionClosed:
            self.code = self._ws.close_code

    async def say(self, verb: str, argument: str = "") -> None:
        """Have the consumer do something; see ``bus_site/groups/consumers.py``."""
        await self._ws.send(json.dumps([verb, argument]))

    async def ask(self, verb: str, argument: str = "", *, timeout: float = 10) -> str:
        """``say``, and the first text that comes after that."""
        seen = len(self.texts)
        await self.say(verb, argument)
        await until(lambda: len(self.texts) > seen, timeout, f"an answer to {verb} {argument}")
        return self.texts[seen]

    async def close(self) -> None:
        """Close it well."""
        await self._ws.close()
        await self._reading

    async def abort(self) -> None:
        """Go away without a word, as when a cable is pulled."""
        self._ws.transport.abort()
        await self._reading


async def opened(urls: Sequence[str]) -> list[Member]:
    """A socket for each of ``urls``, not too many handshakes at the same time."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(url: str) -> Member:
        async with turns:
            return await Member(url).open()

    return list(await asyncio.gather(*map(one, urls)))


@contextlib.asynccontextmanager
async def crowd(urls: Sequence[str]) -> AsyncIterator[list[Member]]:
    """``opened``, until the block ends."""
    members = await opened(urls)
    try:
        yield members
    finally:
        await asyncio.gather(*(member.close() for member in members))
