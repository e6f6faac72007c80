"""The two ends of this package, as a thread without an event loop uses them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Self

from channels_classic.layers.redis import RedisChannelLayer
from channels_classic.layers.traffic import Delivery

DEADLINE = 30


def until(condition: Callable[[], Any]) -> Any:
    """What ``condition`` returns as soon as that is true; an error when it takes too long."""
    end = time.monotonic() + DEADLINE
    while not (found := condition()):
        assert time.monotonic() < end, f"not within {DEADLINE} s"
        time.sleep(0.002)
    return found


class Ours:
    """The server ``ours!`` and the worker ``our-worker`` of a layer."""

    def __init__(self, layer: RedisChannelLayer) -> None:
        self.layer = layer
        self.receipts: list[tuple[str, int, bool]] = []
        self.inbox = layer.inbox("ours!", on_receipt=lambda *each: self.receipts.append(each))
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.run(self.inbox.close())
        self.run(self.layer.close_async())
        self._runner.close()

    def run(self, coroutine: Any) -> Any:
        """What the coroutine returns, within the deadline."""
        return self._runner.run(asyncio.wait_for(coroutine, DEADLINE))

    def tell(self, verb: Callable[..., None], *args: Any) -> None:
        """Call what returns at once and is carried out soon; wait until it is."""

        async def call() -> None:
            verb(*args)
            await self.layer.close_async()

        self.run(call())

    def read(self) -> list[tuple[tuple[str, ...], dict[str, Any]]]:
        """What has come for the connections of the server: for whom, and the content."""
        return [(each.locals, each.content) for each in self.run(self.inbox.read())]

    def send(self, channel: str, content: dict[str, Any], **options: Any) -> None:
        """Send as the server does."""
        envelope = self.layer.prepare(channel, content, **options)
        assert self.run(self.layer.deliver_async([envelope])) == []

    def take(self, channel: str) -> Delivery:
        """Take a message as the worker does, whose thread is gone afterwards."""
        receiver = self.layer.receiver([channel], worker="our-worker")
        try:
            [delivery] = receiver.exchange(done=[], sends=[], limit=1, timeout=1).deliveries
            return delivery
        finally:
            receiver.close()

    def beat(self, *channels: str, ttl: float = 10) -> list[Delivery]:
        """Beat as the worker does; what dead workers left behind."""
        return self.layer.beat("our-worker", channels, ttl=ttl).lapsed
