"""A worker thread's end of several shards: it reads all of them at once."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from channels_classic.exceptions import LayerUnavailable
from channels_classic.layers.ends import Receiver
from channels_classic.layers.names import random_letters
from channels_classic.layers.on_redis.entries import by_shard, receipts
from channels_classic.layers.on_redis.receiver import RedisReceiver
from channels_classic.layers.on_redis.shard import Shard
from channels_classic.layers.traffic import Delivery, Envelope, Exchange

if TYPE_CHECKING:
    from channels_classic.layers.redis import RedisChannelLayer

#: How long a shard is waited for that was asked for what is there, in seconds.
PROMPT = 0.2
#: How often a read that is to end is told so, in seconds.
_TELL = 0.005


class Owed:
    """What was dealt with and is still to be acknowledged, each message once. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._messages: dict[tuple[Shard, str, bytes], Delivery] = {}

    def add(self, done: Sequence[Delivery]) -> None:
        """Their lanes have been told."""
        with self._lock:
            for delivery in done:
                key = delivery.token.shard, delivery.channel, delivery.token.entry_id
                self._messages[key] = delivery._replace(lane="")

    def take(self, shard: Shard) -> list[Delivery]:
        """Those from ``shard``, for the caller to acknowledge."""
        if not self._messages:
            return []
        with self._lock:
            keys = [key for key in self._messages if key[0] is shard]
            return [self._messages.pop(key) for key in keys]

    @contextmanager
    def kept(self, taken: Sequence[Delivery]) -> Iterator[None]:
        """They are owed again if the block ends with an error."""
        try:
            yield
        except BaseException:
            self.add(taken)
            raise


class SpreadReceiver(Receiver):
    """One ``RedisReceiver`` for each shard, and a thread that waits there.

    All shards are asked for what is there; when that is nothing, all are waited for, and the first
    that has something ends the other waits, so that no message is held by a thread that is busy
    with another. A shard that does not answer is left behind: what it brings too late is given
    back. Sends that are for shards that are away come back as refused, so that the worker goes on.
    Acknowledgements travel with the next read.
    """

    layer: RedisChannelLayer

    def __init__(self, layer: RedisChannelLayer, channels: Sequence[str], worker: str = "") -> None:
        super().__init__(layer, channels)
        self._presence = layer.presence
        self._name = worker or random_letters(12)
        self._has_worker = bool(worker)
        self._ends = {
            shard: RedisReceiver(layer, shard, channels, self._name) for shard in layer.shards
        }
        self._pool = ThreadPoolExecutor(2 * len(self._ends), thread_name_prefix="shard")
        #: The read that each shard is busy with.
        self._reads: dict[Shard, Future[Exchange]] = {}
        self._owed = Owed()
        #: What came too late, or was too much, and could not be given back yet.
        self._unreturned: deque[Delivery] = deque()
        self._turn = 0

    def exchange(
        self,
        *,
        done: Sequence[Delivery],
        sends: Sequence[Envelope],
        limit: int,
        timeout: float,
    ) -> Exchange:
        refused = self._send(done, sends)
        if self._unreturned:
            unreturned = [self._unreturned.popleft() for _ in range(len(self._unreturned))]
            self._give_back_quietly(unreturned)
        try:
            deliveries = self._read(limit, timeout)
        except LayerUnavailable:
            if len(refused) == len(sends):  # nothing has gone: it may all be asked for once more
                raise
            return Exchange([], refused)
        return Exchange(deliveries, refused)

    # Writing ----------------------------------------------------------------------------

    def settle(self, done: Sequence[Delivery], sends: Sequence[Envelope]) -> list[Envelope]:
        refused = self._send(done, sends)
        for shard in self._free():
            if owed := self._owed.take(shard):
                with suppress(LayerUnavailable), self._owed.kept(owed), self._presence.noted(shard):
                    self._ends[shard].acknowledge(owed)
        return refused

    def _send(self, done: Sequence[Delivery], sends: Sequence[Envelope]) -> list[Envelope]:
        """The sends, with the receipts behind them; then the acknowledgements are owed."""
        everything = [*sends, *receipts(done)]
        refused: list[Envelope] = []
        try:
            refused = self.layer.deliver(everything) if everything else []
        except LayerUnavailable as error:
            if error.in_doubt:
                raise
            refused = list(sends)
        self._owed.add(done)
        return refused

    async def settle_async(self, done: Delivery, sends: Sequence[Envelope]) -> list[Envelope]:
        refused = await self.layer.deliver_async([*sends, *receipts([done])])
        try:
            await self._ends[done.token.shard].acknowledge_async(done)
        except LayerUnavailable:
            self._owed.add([done])
        return refused

    def waited(self, delivery: Delivery) -> float | None:
        return self._ends[delivery.token.shard].waited(delivery)

    def give_back(self, deliveries: Sequence[Delivery]) -> None:
        for shard, own in by_shard(deliveries):
            self._ends[shard].give_back(own)

    def close(self) -> None:
        with suppress(LayerUnavailable):
            self.settle([], [])
        self._pool.shutdown(wait=False, cancel_futures=True)
        for shard in self._free():
            self._ends[shard].close()
        if not self._has_worker:
            self.layer.withdraw(self._name, self.channels)

    # Reading ----------------------------------------------------------------------------

    def _free(self) -> list[Shard]:
        """The shards that are not busy with a read."""
        self._reads = {shard: read for shard, read in self._reads.items() if not read.done()}
        return [shard for shard in self._ends if shard not in self._reads]

    def _read(self, limit: int, timeout: float) -> list[Delivery]:
        """What is there on any shard, or the first that comes; at most ``limit`` of a channel."""
        answered = False
        problem: LayerUnavailable | None = None
        shards = self._in_turn()
        at_once = len(shards) if limit >= len(shards) else 1
        for start in range(0, len(shards), at_once or 1):
            batch = shards[start : start + at_once]
            found, failed = self._collect(self._start(batch, max(1, limit // at_once), 0))
            if found:
                return self._within(limit, found)
            problem = failed or problem
            answered = answered or failed is None
        if not answered:
            raise problem or LayerUnavailable("no shard has answered lately")
        if timeout > 0:
            return self._within(limit, self._wait(limit, timeout))
        return []

    def _in_turn(self) -> list[Shard]:
        """The shards to read, another one first each time: none has to wait for the others."""
        shards = [shard for shard in self._free() if not self._presence.is_away(shard)]
        self._turn += 1
        first = self._turn % len(shards) if shards else 0
        return shards[first:] + shards[:first]

    def _start(
        self, shards: Sequence[Shard], limit: int, timeout: float
    ) -> dict[Shard, Future[Exchange]]:
        reads = {
            shard: self._pool.submit(self._read_one, shard, limit, timeout) for shard in shards
        }
        self._reads.update(reads)
        return reads

    def _read_one(self, shard: Shard, limit: int, timeout: float) -> Exchange:
        owed = self._owed.take(shard)
        with self._owed.kept(owed), self._presence.noted(shard):
            end = self._ends[shard]
            return end.exchange(done=owed, sends=[], limit=limit, timeout=timeout)

    def _wait(self, limit: int, timeout: float) -> list[Delivery]:
        """The first messages to come, on any shard that answers."""
        reads = self._start(self._in_turn(), limit, timeout)
        wait(reads.values(), timeout=timeout + PROMPT, return_when=FIRST_COMPLETED)
        self._end_waits(reads)
        return self._collect(reads)[0]

    def _end_waits(self, reads: dict[Shard, Future[Exchange]]) -> None:
        end = time.monotonic() + PROMPT
        telling: dict[Shard, Future[object]] = {}
        while late := [shard for shard in reads if not reads[shard].done()]:
            for shard in late:
                if shard not in telling or telling[shard].done():
                    telling[shard] = self._pool.submit(self._end_wait, shard)
            wait([reads[shard] for shard in late], timeout=_TELL)
            if time.monotonic() > end:
                return

    def _end_wait(self, shard: Shard) -> None:
        with suppress(LayerUnavailable):  # then the wait ends with an error, too
            if (number := self._ends[shard].client_id) is not None:
                shard.call(("CLIENT", "UNBLOCK", number))

    def _collect(
        self, reads: dict[Shard, Future[Exchange]]
    ) -> tuple[list[Delivery], LayerUnavailable | None]:
        """What came in time, and the problem when no shard has answered."""
        wait(reads.values(), timeout=PROMPT)
        found: list[Delivery] = []
        problems: list[LayerUnavailable] = []
        for shard, read in reads.items():
            if not read.done():
                read.add_done_callback(self._give_back_late)
                problems.append(LayerUnavailable(f"Redis at {shard.node.name} is slow to answer"))
                continue
            del self._reads[shard]
            try:
                found += read.result().deliveries
            except LayerUnavailable as error:
                problems.append(error)
        return found, problems[0] if len(problems) == len(reads) and problems else None

    def _give_back_late(self, read: Future[Exchange]) -> None:
        """Whoever left the read behind may be busy by now."""
        if not read.cancelled() and read.exception() is None:
            self._give_back_quietly(read.result().deliveries)

    def _give_back_quietly(self, deliveries: Sequence[Delivery]) -> None:
        """What cannot be given back now is given back with the next exchange."""
        for shard, own in by_shard(deliveries):
            try:
                self._ends[shard].give_back(own)
            except LayerUnavailable:
                self._unreturned.extend(own)

    def _within(self, limit: int, deliveries: list[Delivery]) -> list[Delivery]:
        """Several shards at once may have brought more than was asked for."""
        numbers: Counter[str] = Counter()
        kept: defaultdict[bool, list[Delivery]] = defaultdict(list)
        for delivery in deliveries:
            numbers[delivery.channel] += 1
            kept[numbers[delivery.channel] <= limit].append(delivery)
        if kept[False]:
            self._give_back_quietly(kept[False])
        return kept[True]
