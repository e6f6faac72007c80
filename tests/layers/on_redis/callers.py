"""One way to call a link of a thread and a link of an event loop, so that a test covers both."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from channels_classic.layers.on_redis.links import AsyncLink, Link
from channels_classic.layers.on_redis.ring import Node
from channels_classic.layers.on_redis.wire import Command


class Caller(Protocol):
    """A link, however it is made."""

    def call(self, *commands: Command) -> list[Any]: ...

    def close(self) -> None: ...


class OnThread:
    """A ``Link``."""

    def __init__(self, node: Node, *, timeout: float = 5) -> None:
        self.link = Link(node, timeout=timeout)

    def call(self, *commands: Command) -> list[Any]:
        return self.link.call(commands)

    def close(self) -> None:
        self.link.close()


class OnLoop:
    """An ``AsyncLink`` with an event loop of its own."""

    def __init__(self, node: Node, *, timeout: float = 5) -> None:
        self.runner = asyncio.Runner()
        self.timeout = timeout
        self.link = AsyncLink(node)

    def call(self, *commands: Command) -> list[Any]:
        return self.runner.run(self.link.call(commands, timeout=self.timeout))

    def close(self) -> None:
        self.runner.run(self.link.close())
        self.runner.close()
