"""The classic receive on Redis, as commands to send and replies to get; the callers do the I/O."""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any

from channels_classic.exceptions import UndecodableMessage
from channels_classic.layers.base import Received
from channels_classic.layers.fanout import Fanout, logger
from channels_classic.layers.wire import TAKE, TAKE_INBOX, Command

if TYPE_CHECKING:
    from channels_classic.layers.redis import RedisChannelLayer

#: How long a blocking receive waits before it gives up, in seconds.
BLOCK = 5.0

#: Commands to carry out in turn, True when the one command may wait for up to ``BLOCK``; the
#: replies come back in; the result is what ``receive`` answers.
Steps = Generator[tuple[list[Command], bool], list[Any], Received]


class Reception:
    """What ``receive`` knows from call to call: the messages of inboxes it has split up."""

    def __init__(self, layer: RedisChannelLayer) -> None:
        self.layer = layer
        self._fanouts: dict[str, Fanout] = {}
        self._split: dict[str, deque[tuple[str, Any]]] = {}

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
        keys = self.layer.keys
        streams = [keys.inbox(n) if n.endswith("!") else keys.channel(n) for n in next_ids]
        read = ("XREAD", "COUNT", 1, "BLOCK", wait_ms)
        return (*read, "STREAMS", *streams, *next_ids.values())

    def _take(self, name: str) -> Generator[Any, Any, tuple[Received | None, bytes]]:
        layer = self.layer
        while True:
            command = TAKE.command([layer.keys.channel(name)], [layer.expiry_ms])
            [reply] = yield [command], False
            if not isinstance(reply, list):
                return None, reply
            _, fields = reply
            values = dict(zip(fields[::2], fields[1::2], strict=False))
            try:
                return (name, layer.codec.decode(values[b"m"])), b""
            except (UndecodableMessage, KeyError) as error:
                logger.error("Passed over an entry of channel %s: %r", name, error)

    def _take_inbox(self, process: str) -> Generator[Any, Any, tuple[Received | None, bytes]]:
        if process not in self._fanouts:
            yield from self._open(process)
        split = self._split[process]
        keys = self.layer.keys
        take = TAKE_INBOX.command(
            [keys.inbox(process), keys.waiting(process)], [self.layer.expiry_ms]
        )
        while not split:
            [reply] = yield [take], False
            if not reply:
                return None, b"0-0"
            for arrival in self._fanouts[process].arrivals(reply[1]):
                split.extend((process + local, arrival.content) for local in arrival.locals)
            self._fanouts[process].take_joined()  # nothing closes here
        return split.popleft(), b""

    def _open(self, process: str) -> Generator[Any, Any, None]:
        """Learn of the members whose joins another reader may have taken already."""
        fanout, keys = Fanout(self.layer.codec), self.layer.keys
        [groups] = yield [("SMEMBERS", keys.joined(process))], False
        names = [group.decode("ascii") for group in groups]
        if names:
            members = yield [("SMEMBERS", keys.members(g, process)) for g in names], False
            for group, locals_ in zip(groups, members, strict=True):
                for local in locals_:
                    fanout.join(group, local.decode("ascii"))
        self._fanouts[process], self._split[process] = fanout, deque()

    def clear(self) -> None:
        """Forget everything, as the layer has been emptied."""
        self._fanouts.clear()
        self._split.clear()
