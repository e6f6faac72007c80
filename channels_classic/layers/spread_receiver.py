"""A worker thread's end of several shards: it reads all of them at once."""

from __future__ import annotations

import time
from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from typing import TYPE_CHECKING

from channels_classic.exceptions import LayerUnavailable
from channels_classic.layers.ends import Receiver
from channels_classic.layers.entries import by_shard, receipts
from channels_classic.layers.names import random_letters
from channels_classic.layers.redis_receiver import RedisReceiver
from channels_classic.layers.shard import Shard
from channels_classic.layers.spread import Spread, is_receipt
from channels_classic.layers.traffic import Delivery, Envelope, Exchange

if TYPE_CHECKING:
    from channels_classic.layers.redis import RedisChannelLayer

#: How long a shard is waited for that was asked for what is there, in seconds.
PROMPT = 0.2
#: How often a read that is to end is told so, in seconds.
_TELL = 0.005
#: Receipts that are kept for shards that are away, at most.
_RECEIPTS = 10_000


class SpreadReceiver(Receiver):
    """One ``RedisReceiver`` for each shard, and a thread that waits there.

    All shards are asked for what is there; when that is nothing, all are waited for, and the first
    that has something ends the other waits, so that no message is held by a thread that is busy
    with another. A shard that does not answer is left behind: what it brings too late is given
    back. Once sends have gone, the rest is this object's to carry out: the acknowledgements, which
    travel with the next read, and the receipts.
    """

    layer: RedisChannelLayer

    def __init__(
        self, layer: RedisChannelLayer, spread: Spread, channels: Sequence[str], worker: str = ""
    ) -> None:
        super().__init__(layer, channels)
        self._presence = spread.presence
        self._name = worker or random_letters(12)
        self._has_worker = bool(worker)
        self._ends = {
            shard: RedisReceiver(layer, shard, channels, self._name) for shard in spread.shards
        }
        self._pool = ThreadPoolExecutor(2 * len(self._ends), thread_name_prefix="shard")
        #: The read that each shard is busy with.
        self._reads: dict[Shard, Future[Exchange]] = {}
        self._owed: dict[Shard, deque[Delivery]] = {shard: deque() for shard in self._ends}
        self._receipts: deque[Envelope] = deque(maxlen=_RECEIPTS)
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
        try:
            deliveries = self._read(limit, timeout)
        except LayerUnavailable:
            if done or sends:  # these have gone: to raise would send them once more
                return Exchange([], refused)
            raise
        return Exchange(deliveries, refused)

    # Writing ----------------------------------------------------------------------------

    def settle(self, done: Sequence[Delivery], sends: Sequence[Envelope]) -> list[Envelope]:
        refused = self._send(done, sends)
        for shard in self._free():
            if self._owed[shard]:
                with suppress(LayerUnavailable):  # it is tried again with the next read
                    self._acknowledge(shard)
        return refused

    def _send(self, done: Sequence[Delivery], sends: Sequence[Envelope]) -> list[Envelope]:
        """The sends, with the receipts behind them; then the acknowledgements are owed."""
        told = [*self._take_receipts(), *receipts(done)]
        refused: list[Envelope] = []
        if sends or told:
            try:
                refused = self.layer.deliver([*sends, *told])
            except LayerUnavailable:
                if sends:
                    self._receipts.extend(told[: len(told) - len(receipts(done))])
                    raise
                refused = told
        self._receipts.extend(envelope for envelope in refused if is_receipt(envelope))
        for shard, deliveries in by_shard(done):
            self._owed[shard].extend(deliveries)
        return [envelope for envelope in refused if not is_receipt(envelope)]

    def _take_receipts(self) -> list[Envelope]:
        return [self._receipts.popleft() for _ in range(len(self._receipts))]

    def _acknowledge(self, shard: Shard) -> None:
        owed = self._take_owed(shard)
        try:
            with self._presence.noted(shard):
                self._ends[shard].acknowledge(owed)
        except LayerUnavailable:
            self._owed[shard].extendleft(owed)
            raise

    def _take_owed(self, shard: Shard) -> list[Delivery]:
        """Without their lanes, which have been told."""
        owed = self._owed[shard]
        return [owed.popleft()._replace(lane="") for _ in range(len(owed))]

    async def settle_async(self, done: Delivery, sends: Sequence[Envelope]) -> list[Envelope]:
        refused = await self.layer.deliver_async([*sends, *receipts([done])])
        self._receipts.extend(envelope for envelope in refused if is_receipt(envelope))
        try:
            await self._ends[done.token.shard].acknowledge_async(done)
        except LayerUnavailable:
            self._owed[done.token.shard].append(done)
        return [envelope for envelope in refused if not is_receipt(envelope)]

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
        owed = self._take_owed(shard)
        try:
            with self._presence.noted(shard):
                end = self._ends[shard]
                return end.exchange(done=owed, sends=[], limit=limit, timeout=timeout)
        except LayerUnavailable:
            self._owed[shard].extendleft(owed)
            raise

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
        with suppress(LayerUnavailable):  # then they are in hand, until this worker is gone
            self.give_back(deliveries)

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
