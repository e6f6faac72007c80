"""The classic receive on Redis: one message of any of some channels, acknowledged when taken."""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict, deque
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

from channels_classic.exceptions import UndecodableMessage
from channels_classic.layers.counters import Counter
from channels_classic.layers.on_redis.entries import read_entry, receipts
from channels_classic.layers.on_redis.links import TIMEOUT, AsyncLink, Links, good
from channels_classic.layers.on_redis.plan import receipt
from channels_classic.layers.on_redis.shard import Shard
from channels_classic.layers.on_redis.wire import DUE, TAKE, TAKE_INBOX, Command
from channels_classic.layers.traffic import Content, Envelope

if TYPE_CHECKING:
    from channels_classic.layers.redis import RedisChannelLayer

#: How long a blocking receive waits before it gives up, in seconds.
BLOCK = 5.0
#: Delayed messages that are moved when somebody looks, at most.
_DUE = 100

Received = tuple[str, Content] | tuple[None, None]


class Ask(NamedTuple):
    """What the receiver wants done: commands on one shard, or waits on several, or sends."""

    shard: Shard | None = None
    commands: Sequence[Command] = ()
    waits: dict[Shard, Command] | None = None
    sends: Sequence[Envelope] = ()


#: What to do in turn; the replies come back in; the result is what ``receive`` answers.
Steps = Generator[Ask, list[Any], Received]


class Reception:
    """What ``receive`` knows from call to call: messages to groups that it has split up."""

    def __init__(self, layer: RedisChannelLayer, shards: Sequence[Shard]) -> None:
        self._layer = layer
        self._presence = layer.presence
        self._shards = shards
        self._links = {shard: Links(shard.node, 50, timeout=BLOCK + TIMEOUT) for shard in shards}
        self._split: defaultdict[str, deque[tuple[str, bytes]]] = defaultdict(deque)

    # Doing ------------------------------------------------------------------------------

    def receive(self, names: Sequence[str], block: bool) -> Received:
        """Look at each channel once; then, with ``block``, wait for any of them and look again."""
        steps = self._steps(names, block)
        replies: list[Any] = []
        try:
            while True:
                ask = steps.send(replies) if replies else next(steps)
                replies = self._do(ask) or [None]
        except StopIteration as stop:
            received: Received = stop.value
            return received

    def _do(self, ask: Ask) -> list[Any]:
        if ask.sends:
            return self._layer.deliver(ask.sends)
        if ask.shard is not None:
            with self._presence.noted(ask.shard):
                return ask.shard.call(*ask.commands)
        waits = ask.waits or {}
        if len(waits) == 1:
            [(shard, command)] = waits.items()
            return good(shard.node.name, self._links[shard].call([command]))
        with ThreadPoolExecutor(1) as pool:  # as there may be an event loop on this thread
            return pool.submit(asyncio.run, self._wait_for_any(waits)).result()

    async def _wait_for_any(self, waits: dict[Shard, Command]) -> list[Any]:
        links = {shard: AsyncLink(shard.node) for shard in waits}
        try:
            return await self._do_async(Ask(waits=waits), links)
        finally:
            for link in links.values():
                await link.close()

    async def receive_async(self, names: Sequence[str]) -> Received:
        """``receive`` for an event loop, on connections of its own: to cancel it loses nothing."""
        links = {shard: AsyncLink(shard.node) for shard in self._shards}
        steps = self._steps(names, True)
        replies: list[Any] = []
        try:
            while True:
                ask = steps.send(replies) if replies else next(steps)
                replies = await self._do_async(ask, links) or [None]
        except StopIteration as stop:
            received: Received = stop.value
            return received
        finally:
            for link in links.values():
                await link.close()

    async def _do_async(self, ask: Ask, links: dict[Shard, AsyncLink]) -> list[Any]:
        if ask.sends:
            return await self._layer.deliver_async(ask.sends)
        if ask.shard is not None:
            return await self._call(ask.shard, links[ask.shard], ask.commands)
        waits = [
            asyncio.ensure_future(self._call(shard, links[shard], [command], BLOCK + TIMEOUT))
            for shard, command in (ask.waits or {}).items()
        ]
        try:
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            return [future.result() for future in done]
        finally:
            for each in waits:
                each.cancel()
            await asyncio.wait(waits)

    async def _call(
        self, shard: Shard, link: AsyncLink, commands: Sequence[Command], timeout: float = TIMEOUT
    ) -> list[Any]:
        with self._presence.noted(shard):
            return good(shard.node.name, await link.call(commands, timeout=timeout))

    # Deciding ---------------------------------------------------------------------------

    def _steps(self, names: Sequence[str], block: bool) -> Steps:
        end = time.monotonic() + BLOCK
        places = [(shard, name) for name in names for shard in self._shards_of(name)]
        while places:
            next_ids: defaultdict[Shard, dict[str, Any]] = defaultdict(dict)
            wait_ms = int((end - time.monotonic()) * 1000)
            for shard, name in random.sample(places, len(places)):
                look = self._look_inbox if name.endswith("!") else self._look
                found, next_ids[shard][name], due_ms = yield from look(shard, name)
                if found:
                    return found
                wait_ms = min(wait_ms, due_ms) if due_ms >= 0 else wait_ms
            if not block or time.monotonic() >= end:
                break
            if wait_ms > 0:
                waits = {s: self._wait_command(s, ids, wait_ms) for s, ids in next_ids.items()}
                yield Ask(waits=waits)
        return None, None

    def _shards_of(self, name: str) -> Sequence[Shard]:
        """Plain channels are spread over all; the others have one reader, and one place."""
        if "!" in name or "?" in name:
            return [self._layer.shard_of(name)]
        present = [shard for shard in self._shards if not self._presence.is_away(shard)]
        return present or self._shards

    def _wait_command(self, shard: Shard, next_ids: dict[str, Any], wait_ms: int) -> Command:
        keys = shard.keys
        streams = [keys.inbox(n) if n.endswith("!") else keys.channel(n) for n in next_ids]
        read = ("XREAD", "COUNT", 1, "BLOCK", wait_ms)
        return (*read, "STREAMS", *streams, *next_ids.values())

    def _look(
        self, shard: Shard, name: str
    ) -> Generator[Ask, list[Any], tuple[Received | None, Any, int]]:
        keys = [shard.keys.channel(name)]
        due_keys = [shard.keys.later(name), *keys, shard.keys.stats(name)]
        due = DUE.command(due_keys, [_DUE, shard.lives_ms(name)])
        keys += [] if "?" in name else [shard.keys.stats(name)]
        take = TAKE.command(keys, [shard.expiry_ms(name)])
        while True:
            due_ms, (next_id, lanes, *entry) = yield Ask(shard, [due, take])
            if lost := [r for lane in lanes for r in receipt(lane.decode(), lost=True)]:
                yield Ask(sends=lost)
            if not entry:
                return None, next_id, due_ms
            delivery = read_entry(shard, name, *entry)
            if told := receipts([delivery], lost=bool(delivery.token.problem)):
                yield Ask(sends=told)
            if not delivery.token.problem:
                return (name, delivery.content), b"", due_ms
            yield from self._pass_over(shard, name, delivery.token.problem)

    def _look_inbox(
        self, shard: Shard, process: str
    ) -> Generator[Ask, list[Any], tuple[Received | None, Any, int]]:
        keys, split = shard.keys, self._split[process]
        inbox, waiting = keys.inbox(process), keys.waiting(process)
        lives = shard.planner.inbox_lives(process)
        due = DUE.command([keys.later(process), inbox, keys.stats(process), waiting], [_DUE, lives])
        take = TAKE_INBOX.command(
            [inbox, waiting, keys.changed(process), keys.stats(process)],
            [shard.expiry_ms(process), keys.members("", process)],
        )
        while True:
            try:
                name, payload = split.popleft()
            except IndexError:  # asked for, and not looked before: other threads take from it too
                due_ms, reply = yield Ask(shard, [due, take])
                if not reply:
                    return None, b"0-0", due_ms
                split.extend(_by_member(process, reply))
                continue
            try:
                return (name, shard.codec.decode(payload)), b"", -1
            except UndecodableMessage as error:
                yield from self._pass_over(shard, process, str(error))

    def _pass_over(self, shard: Shard, name: str, problem: str) -> Generator[Ask, list[Any], None]:
        self._layer.note(name, Counter.UNDECODABLE, detail=problem)
        yield Ask(shard, [shard.count_command(name, Counter.UNDECODABLE, 1)])

    def clear(self) -> None:
        """Forget everything, as the layer has been emptied."""
        self._split.clear()

    def close(self) -> None:
        """Close the connections that nobody uses."""
        for links in self._links.values():
            links.close()


def _by_member(process: str, found: list[list[bytes]]) -> list[tuple[str, bytes]]:
    """The messages of one entry for each connection, by its full name."""
    return [
        (process + local.decode("ascii", "replace"), payload)
        for payload, *locals_ in found
        for local in locals_
    ]
