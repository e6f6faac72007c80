"""The channel layer on Redis: a thin verb around each command or script."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from channels_classic.layers.base import BaseChannelLayer, Received
from channels_classic.layers.codec import Codec
from channels_classic.layers.counters import Counter
from channels_classic.layers.ends import (
    Inbox,
    IsOpen,
    OnReceipt,
    Receiver,
    always_open,
    no_receipts,
)
from channels_classic.layers.names import (
    non_local_name,
    valid_channel_name,
    valid_group_name,
    valid_key,
    valid_receive_names,
    valid_worker_names,
)
from channels_classic.layers.on_redis import attachments, dead, upkeep
from channels_classic.layers.on_redis.cluster import cluster_nodes
from channels_classic.layers.on_redis.entries import acknowledgements, by_shard, receipts
from channels_classic.layers.on_redis.inbox import RedisInbox
from channels_classic.layers.on_redis.ledger import RedisLedger
from channels_classic.layers.on_redis.presence import Presence
from channels_classic.layers.on_redis.receiver import RedisReceiver
from channels_classic.layers.on_redis.reception import Reception
from channels_classic.layers.on_redis.recover import beat
from channels_classic.layers.on_redis.ring import Host, Node, nodes, owner
from channels_classic.layers.on_redis.sentinel import sentinel_nodes
from channels_classic.layers.on_redis.shard import Shard
from channels_classic.layers.on_redis.spread import Spread
from channels_classic.layers.on_redis.spread_beat import SpreadBeat
from channels_classic.layers.on_redis.spread_receiver import SpreadReceiver
from channels_classic.layers.on_redis.wire import CLOSED, WITHDRAW, Command
from channels_classic.layers.traffic import (
    Content,
    DeadLetter,
    Delivery,
    Envelope,
    Load,
    Pulse,
    Reasons,
)


class RedisChannelLayer(BaseChannelLayer):
    """Channels and groups on Redis 6.2 or newer, or Valkey, for any number of processes.

    Options, next to those of ``BaseChannelLayer``: ``hosts``, a list of ``(name, port)`` or URLs
    (``redis://``, ``rediss://``, ``unix://``), over which all is spread; ``prefix`` of every key;
    ``symmetric_encryption_keys``, of which the first encrypts and all decrypt;
    ``connection_kwargs`` for redis-py; ``max_connections`` at once for sends and group calls of
    this process; ``inbox_limit``, the entries that a server may lag behind before it misses sends
    to groups.

    With several ``hosts`` every process needs all of them, in one order that never changes. Groups,
    processes and single-reader channels each live on one. A plain channel takes all in turn: its
    messages come in no order (those of a socket do, all the same), and each host has an equal share
    of its capacity, but at least 1. ``later_limit`` and ``dead_limit`` hold on each host. When one
    is away the others go on; what only that one can take is refused until it is back.

    Raises ``ValueError`` for an option it cannot use; nothing is connected until the first call.
    """

    extensions: ClassVar[list[str]] = ["groups", "flush", "statistics", "async"]
    receipts: ClassVar[bool] = True
    later: ClassVar[bool] = True
    attachments: ClassVar[bool] = True

    def __init__(
        self,
        *,
        hosts: Sequence[Host] | None = None,
        prefix: str = "asgi:",
        symmetric_encryption_keys: Iterable[str | bytes] | None = None,
        connection_kwargs: Mapping[str, Any] | None = None,
        max_connections: int = 50,
        inbox_limit: int = 10_000,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if not isinstance(prefix, str):
            raise ValueError(f"prefix must be a str, not {prefix!r}")
        self.prefix = prefix
        self.codec = Codec(max_size=int(self.max_message_size), keys=symmetric_encryption_keys)
        places = self._nodes(hosts, connection_kwargs)
        forward = self.deliver if len(places) > 1 else None
        self.shards = [
            Shard(
                node,
                self,
                prefix=f"{prefix}{{{node.tag}}}:" if node.tag else prefix,
                codec=self.codec,
                max_connections=max_connections,
                inbox_limit=inbox_limit,
                forward=forward,
                number=number,
                shards=len(places),
            )
            for number, node in enumerate(places)
        ]
        #: Which of the shards answer.
        self.presence = Presence(self.shards)
        self._spread = Spread(self, self.shards)
        self._beats = SpreadBeat(self.shards, self.presence)
        self._alone = self.shards[0] if len(self.shards) == 1 else None
        self._reception = Reception(self, self.shards)
        self.ledger = RedisLedger(self, self._spread)

    def _nodes(
        self, hosts: Sequence[Host] | None, connection_kwargs: Mapping[str, Any] | None
    ) -> list[Node]:
        """Where the shards are; for layers that find them in another way."""
        return nodes(hosts, connection_kwargs)

    def __str__(self) -> str:
        return f"{type(self).__name__}({', '.join(shard.node.name for shard in self.shards)})"

    def encode(self, content: Content) -> bytes:
        return self.codec.encode(content)

    def shard_of(self, name: str) -> Shard:
        """The shard that owns a group, a process or a single-reader channel."""
        return self._alone or self.shards[owner(non_local_name(name), len(self.shards))]

    # Sending --------------------------------------------------------------------------

    def deliver(self, envelopes: Sequence[Envelope]) -> list[Envelope]:
        return (self._alone or self._spread).deliver(envelopes)

    async def deliver_async(self, envelopes: Sequence[Envelope]) -> list[Envelope]:
        if self._alone is not None:
            return await self._alone.writer().deliver(envelopes)
        return await self._spread.deliver_async(envelopes)

    # Receiving ------------------------------------------------------------------------

    def receive(self, channels: Sequence[str], block: bool = False) -> Received:
        return self._reception.receive(valid_receive_names(channels), block)

    async def receive_async(self, channels: Sequence[str]) -> Received:
        return await self._reception.receive_async(valid_receive_names(channels))

    def receiver(self, channels: Sequence[str], *, worker: str = "") -> Receiver:
        names = valid_worker_names(channels)
        if self._alone is not None:
            return RedisReceiver(self, self._alone, names, worker)
        return SpreadReceiver(self, names, worker)

    def inbox(
        self, process: str, is_open: IsOpen = always_open, on_receipt: OnReceipt = no_receipts
    ) -> Inbox:
        return RedisInbox(self, self.shard_of(process), process, is_open, on_receipt)

    # Groups ---------------------------------------------------------------------------

    def group_add(self, group: str, channel: str) -> None:
        valid_group_name(group), valid_channel_name(channel)
        owner_shard = self.shard_of(group)
        if "!" not in channel:
            lives_ms = int(self.group_expiry * 1000)
            owner_shard.call(owner_shard.enrol_command(group, channel, lives_ms=lives_ms))
            return
        shard = self.shard_of(channel)
        is_here = shard is owner_shard
        unheard_ms = int(self.group_expiry * 1000)
        [joined] = shard.call(
            shard.join_command(group, channel, unheard_ms=unheard_ms, is_here=is_here)
        )
        if joined and not is_here:
            owner_shard.call(owner_shard.enrol_command(group, non_local_name(channel)))

    def group_discard(self, group: str, channel: str) -> None:
        valid_group_name(group), valid_channel_name(channel)
        if "!" in channel:
            shard = self.shard_of(channel)
            shard.call(shard.leave_command(group, channel))
        else:
            shard = self.shard_of(group)
            shard.call(("ZREM", shard.keys.group(group), channel))

    def group_channels(self, group: str) -> list[str]:
        plain, processes = self._members(group)
        return plain + [
            process + local.decode("ascii", "replace")
            for process in processes
            for local in self._of_process("SMEMBERS", group, process)
        ]

    def group_count(self, group: str) -> int:
        plain, processes = self._members(group)
        counts = [int(self._of_process("SCARD", group, each)) for each in processes]
        return len(plain) + sum(counts)

    def _members(self, group: str) -> tuple[list[str], list[str]]:
        """The plain channels in a group, and the processes."""
        names = self._spread.members(valid_group_name(group))
        return (
            [name for name in names if not name.endswith("!")],
            [name for name in names if name.endswith("!")],
        )

    def _of_process(self, verb: str, group: str, process: str) -> Any:
        shard = self.shard_of(process)
        return shard.call((verb, shard.keys.members(group, process)))[0]

    # Attachments ------------------------------------------------------------------------

    def attach(self, channel: str, key: str, content: Content) -> None:
        payload = self.encode_attachment(channel, key, content)
        command = attachments.attach_command(self, channel, key, payload)
        self._spread.call(self.shard_of(channel), command)

    def attached(self, channels: Sequence[str], key: str) -> list[Content | None]:
        valid_key(key)
        found: dict[str, bytes | None] = {}
        for look in attachments.looks(self, [valid_channel_name(name) for name in channels], key):
            found |= look.found(self._spread.call(look.shard, *look.commands()))
        return [attachments.decoded(self, name, found[name]) for name in channels]

    def detach(self, channel: str, key: str) -> None:
        valid_channel_name(channel), valid_key(key)
        command = attachments.detach_command(self, channel, key)
        self._spread.call(self.shard_of(channel), command)

    # Workers and servers ----------------------------------------------------------------

    def beat(
        self, worker: str, channels: Sequence[str], *, ttl: float, recover: bool = True
    ) -> Pulse:
        def beat_one(shard: Shard, recover: bool) -> Pulse:
            return beat(self, shard, worker, channels, ttl=ttl, recover=recover)

        if self._alone is not None:
            return beat_one(self._alone, recover)
        self._spread.deliver([])  # receipts that could not be sent before
        return self._beats.beat(worker, beat_one, ttl=ttl, recover=recover)

    def withdraw(self, worker: str, channels: Sequence[str]) -> None:
        def withdraw_one(shard: Shard) -> None:
            keys = [key(c) for c in channels for key in (shard.keys.workers, shard.keys.channel)]
            shard.call(WITHDRAW.command(keys, [worker]))

        self._spread.each(withdraw_one)

    def settle(self, done: Sequence[Delivery], sends: Sequence[Envelope]) -> list[Envelope]:
        parts = by_shard(done)
        if len(parts) != 1:  # each shard for itself, and the sends first
            refused = self.deliver(sends) if sends else []
            for shard, deliveries in parts:
                self._settle(shard, deliveries, receipts(deliveries))
            return refused
        [(shard, deliveries)] = parts
        return self._settle(shard, deliveries, [*sends, *receipts(deliveries)])

    def _settle(
        self,
        shard: Shard,
        deliveries: Sequence[Delivery],
        sends: Sequence[Envelope],
        *commands: Command,
    ) -> list[Envelope]:
        """What can go to the shard of the messages goes with their acknowledgement."""
        here = [each for each in sends if self._alone or self._may_go_to(shard, each)]
        elsewhere = [each for each in sends if each not in here]
        refused = self.deliver(elsewhere) if elsewhere else []
        done = acknowledgements(shard, deliveries)
        return refused + shard.settle(here, [*commands, *done])

    def _may_go_to(self, shard: Shard, envelope: Envelope) -> bool:
        """Plain channels are on all shards; groups need more than one."""
        is_plain = "!" not in envelope.name and "?" not in envelope.name
        return not envelope.to_group and (is_plain or self.shard_of(envelope.name) is shard)

    def lose(self, deliveries: Sequence[Delivery], counter: Counter) -> None:
        for shard, part in by_shard(deliveries):
            self._settle(shard, part, receipts(part, lost=True))
        for channel, number in Tally(delivery.channel for delivery in deliveries).items():
            self.count(channel, counter, number)
            self.note(channel, counter, number, detail=deliveries[0].token.problem)

    def bury(self, delivery: Delivery, reasons: Reasons) -> None:
        shard = delivery.token.shard
        command = dead.bury_command(self, delivery, reasons)
        self._settle(shard, [delivery], receipts([delivery]), command)
        self.note(delivery.channel, Counter.DEAD, detail=reasons.error)

    def dead_letters(self, channel: str | None = None) -> Iterable[DeadLetter]:
        return dead.letters(self, channel)

    def requeue_dead(self, letters: Iterable[DeadLetter]) -> int:
        return dead.requeue(self, letters)

    def delete_dead(self, letters: Iterable[DeadLetter]) -> int:
        return dead.delete(self, letters)

    def is_gone(self, channel: str) -> bool:
        process = non_local_name(channel)
        shard = self.shard_of(process)
        count, died = shard.call(
            ("HGET", shard.keys.waiting(process), channel[len(process) :]),
            ("EXISTS", shard.keys.gone(process)),
        )
        return bool(died) or int(count or 0) >= CLOSED // 2

    async def has_worker(self, channel: str) -> bool:
        return await self._spread.has_worker(channel)

    async def loads(self, channels: Sequence[str]) -> dict[str, Load]:
        return await self._spread.loads(valid_worker_names(channels))

    # The rest of the contract -----------------------------------------------------------

    def flush(self) -> None:
        for shard in self.shards:
            upkeep.flush(shard)
        self._reception.clear()

    def channel_statistics(self, channel: str) -> dict[str, float]:
        name = non_local_name(valid_channel_name(channel))
        return upkeep.summed(upkeep.channel_statistics(shard, name) for shard in self.shards)

    def global_statistics(self) -> dict[str, float]:
        return upkeep.summed(upkeep.global_statistics(shard) for shard in self.shards)

    def count(self, channel: str, counter: Counter, number: int = 1) -> None:
        self._spread.count(channel, counter, number)

    def close(self) -> None:
        for shard in self.shards:
            shard.close()
        self._beats.close()
        self.presence.close()
        self._reception.close()

    async def close_async(self) -> None:
        for shard in self.shards:
            await shard.close_async()


class RedisSentinelChannelLayer(RedisChannelLayer):
    """The masters that Redis Sentinel names, also after a failover.

    ``hosts`` are the ``(name, port)`` of Sentinels; ``services`` the names of the masters, one for
    each shard, in an order that never changes. What the Sentinels say is good for
    ``sentinel_refresh_interval`` seconds, or until a connection fails; with 0 they are asked before
    every connect, and once a second by each process that uses the bus. ``sentinel_kwargs`` are for
    the connections to the Sentinels, ``connection_kwargs`` for those to the masters. The other
    options are those of ``RedisChannelLayer``. Raises ``ValueError``.

    A failover loses what the old master had not yet copied, and what it goes on taking if it is cut
    off from the Sentinels alone: set ``min-replicas-to-write 1`` on masters and replicas, so that
    it stops by itself after ``min-replicas-max-lag`` seconds.
    """

    def __init__(
        self,
        *,
        services: Sequence[str] | None = None,
        sentinel_refresh_interval: float = 0,
        sentinel_kwargs: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        self._services = services
        self._refresh_interval = sentinel_refresh_interval
        self._sentinel_kwargs = sentinel_kwargs
        super().__init__(**options)

    def _nodes(self, hosts: Any, connection_kwargs: Mapping[str, Any] | None) -> list[Node]:
        return sentinel_nodes(
            hosts,
            self._services,
            connection_kwargs,
            sentinel_kwargs=self._sentinel_kwargs,
            refresh_interval=self._refresh_interval,
        )


class RedisClusterChannelLayer(RedisChannelLayer):
    """A Redis Cluster, over whose servers ``shards`` shards are spread.

    Every process needs the same number of ``shards``; three servers want three, or a multiple.
    ``hosts`` are some of the servers, from which the others are learnt. The other options, and what
    it means to have several shards, are those of ``RedisChannelLayer``. Raises ``ValueError``.

    Each shard is one slot: it moves as a whole, and so does its load. ``min-replicas-to-write 1``
    is advised as under Sentinel.
    """

    def __init__(self, *, shards: int = 3, **options: Any) -> None:
        self._shard_count = shards
        super().__init__(**options)

    def _nodes(
        self, hosts: Sequence[Host] | None, connection_kwargs: Mapping[str, Any] | None
    ) -> list[Node]:
        return cluster_nodes(hosts, self._shard_count, connection_kwargs)
