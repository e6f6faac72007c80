"""The suite that every channel layer passes, for Redis layers however their shards are found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import redis

from channels_classic.layers.names import random_letters
from channels_classic.layers.redis import RedisChannelLayer
from channels_classic.test.conformance import ConformanceTestCase

#: What is no message, wherever it is put.
GARBAGE = [b"", b"\xc1", b"\x93\x01", b"hello", b"\x2a", b"\xff" * 50]
FIELDS = [b"m", b"t", b"other", b"", b"!a", b"*some.group", b"?", b"!\xff"]


class SeveralTestCase(ConformanceTestCase):
    """Subclasses have a fixture that sets ``make``, and say where the servers are."""

    __test__: ClassVar[bool] = False
    capacity_limit = 6  # the shards have equal shares of it
    in_order = False
    expiry_delay = 0.45
    forever = "forever"
    dropping = "newest"
    #: Makes the layer with some options.
    make: Callable[..., RedisChannelLayer]

    def setUp(self) -> None:
        waits = "expir" in self._testMethodName
        self.channel_layer = self.make(
            prefix=f"{random_letters(8)}:",
            expiry=0.4 if waits else 60,
            group_expiry=0.5 if waits else 60,
            capacity=500 if "passed_over" in self._testMethodName else 6,  # garbage takes room
            channel_expiry={"forever*": None},
            channel_overflow={"newest*": "drop_oldest"},
        )
        self.addCleanup(self.channel_layer.close)
        super().setUp()

    def servers(self) -> list[redis.Redis]:
        """A client of each server that there is."""
        raise NotImplementedError

    def count_writes(self) -> int:
        """What all servers have carried out, also inside scripts, but for looking at each other."""
        total = 0
        for client in self.servers():
            stats: Any = client.info("commandstats")
            total += sum(each["calls"] for name, each in stats.items() if is_ours(name))
            client.close()
        return total

    def put_garbage(self, channel: str) -> bool:
        layer = self.channel_layer
        is_inbox = "!" in channel
        shards = [layer.shard_of(channel)] if is_inbox or "?" in channel else layer.shards
        for shard in shards:
            process = channel.partition("!")[0] + "!"
            key = shard.keys.inbox(process) if is_inbox else shard.keys.channel(channel)
            shard.call(*(("XADD", key, "*", f, value) for f in FIELDS for value in GARBAGE))
        return True


def is_ours(name: str) -> bool:
    """Whether a counter of ``commandstats`` is of a command that touches keys."""
    command = name.removeprefix("cmdstat_").partition("|")[0]
    return command in ("evalsha", "unlink") or command[0] in "hsxz"
