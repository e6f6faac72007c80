"""The classic receive on Redis, as commands to send and replies to get; the callers do the I/O."""

from __future__ import annotations

import logging
import random
import time
from collections import defaultdict, deque
from collections.abc import Generator, Sequence
from typing import Any

from channels_classic.exceptions import UndecodableMessage
from channels_classic.layers.base import Received
from channels_classic.layers.shard import Shard
from channels_classic.layers.wire import TAKE, TAKE_INBOX, Command

logger = logging.getLogger("channels_classic.layers")

#: How long a blocking receive waits before it gives up, in seconds.
BLOCK = 5.0

#: Commands to carry out in turn, True when the one command may wait for up to ``BLOCK``; the
#: replies come back in; the result is what ``receive`` answers.
Steps = Generator[tuple[list[Command], bool], list[Any], Received]


class Reception:
    """What ``receive`` knows from call to call: messages to groups that it has split up."""

    def __init__(self, shard: Shard) -> None:
        self.shard = shard
        self._split: defaultdict[str, deque[tuple[str, bytes]]] = defaultdict(deque)

    def receive(self, names: Sequence[str], block: bool) -> Steps:
        """Look at each channel once; then, with ``block``, wait for any of them and look again."""
        end = time.monotonic() + BLOCK
        while names:
            next_ids = {}
            for name in random.sample(names, len(names)):
                take = self._take_inbox if name.endswith("!") else self._take
                found, next_ids[name] = yield from take(name)
                if found:
                    return found
            wait_ms = int((end - time.monotonic()) * 1000)
            if not block or wait_ms <= 0:
                break
            yield [self._wait_command(next_ids, wait_ms)], True
        return None, None

    def _wait_command(self, next_ids: dict[str, Any], wait_ms: int) -> Command:
        keys = self.shard.keys
        streams = [keys.inbox(n) if n.endswith("!") else keys.channel(n) for n in next_ids]
        read = ("XREAD", "COUNT", 1, "BLOCK", wait_ms)
        return (*read, "STREAMS", *streams, *next_ids.values())

    def _take(self, name: str) -> Generator[Any, Any, tuple[Received | None, bytes]]:
        shard = self.shard
        while True:
            command = TAKE.command([shard.keys.channel(name)], [shard.expiry_ms])
            [reply] = yield [command], False
            if not isinstance(reply, list):
                return None, reply
            _, fields = reply
            values = dict(zip(fields[::2], fields[1::2], strict=False))
            try:
                return (name, shard.codec.decode(values[b"m"])), b""
            except (UndecodableMessage, KeyError) as error:
                logger.error("Passed over an entry of channel %s: %r", name, error)

    def _take_inbox(self, process: str) -> Generator[Any, Any, tuple[Received | None, bytes]]:
        shard, keys, split = self.shard, self.shard.keys, self._split[process]
        take = TAKE_INBOX.command(
            [keys.inbox(process), keys.waiting(process), keys.changed(process)],
            [shard.expiry_ms, keys.members("", process)],
        )
        while True:
            try:
                name, payload = split.popleft()
            except IndexError:  # asked for, and not looked before: other threads take from it too
                name = None
            if name is None:
                [reply] = yield [take], False
                if not reply:
                    return None, b"0-0"
                split.extend(_by_member(process, reply))
                continue
            try:
                return (name, shard.codec.decode(payload)), b""
            except UndecodableMessage as error:
                logger.error("Passed over a message in the inbox of %s: %s", process, error)

    def clear(self) -> None:
        """Forget everything, as the layer has been emptied."""
        self._split.clear()


def _by_member(process: str, found: list[list[bytes]]) -> list[tuple[str, bytes]]:
    """The messages of one entry for each connection, by its full name."""
    return [
        (process + local.decode("ascii", "replace"), payload)
        for payload, *locals_ in found
        for local in locals_
    ]
