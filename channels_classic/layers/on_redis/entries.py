"""The entries of plain channels: from the fields on the stream to deliveries, and off the bus."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from channels_classic.exceptions import UndecodableMessage
from channels_classic.layers.on_redis.plan import ATTEMPTS, CRASHES, FIRST, LANE, PAYLOAD, receipt
from channels_classic.layers.on_redis.wire import WORKERS, Command
from channels_classic.layers.traffic import Delivery, Envelope

if TYPE_CHECKING:
    from channels_classic.layers.on_redis.shard import Shard


class Token(NamedTuple):
    """Where a message is, since when it is on the bus, whose it is, and why it cannot be read."""

    entry_id: bytes
    arrived_ms: int
    shard: Shard
    consumer: str = ""
    problem: str = ""


def read_entry(
    shard: Shard, name: str, entry_id: bytes, fields: Sequence[bytes], *, consumer: str = ""
) -> Delivery:
    """The message of an entry that ``consumer`` has; nobody knows what a foreign one holds."""
    values = dict(zip(fields[::2], fields[1::2], strict=False)) if fields else {}
    payload = values.get(PAYLOAD)
    content, problem = {}, ""
    try:
        if payload is None:
            raise UndecodableMessage("the entry has no field 'm'")
        content = shard.codec.decode(payload)
    except UndecodableMessage as error:
        problem = str(error)
    since = _number(values.get(FIRST)) if FIRST in values else 0
    token = Token(entry_id, since or _number(entry_id.partition(b"-")[0]), shard, consumer, problem)
    if len(values) == 1:  # as nearly always, without order
        return Delivery(name, content, token, payload=payload)
    return Delivery(
        name,
        content,
        token,
        lane=values[LANE].decode("ascii", "replace") if LANE in values else "",
        attempts=_number(values.get(ATTEMPTS)),
        crashes=_number(values.get(CRASHES)),
        payload=payload,
    )


def _number(value: bytes | None) -> int:
    known = value is not None and value.isdigit() and len(value) < 20
    return int(value) if known and value is not None else 0


def as_sent(delivery: Delivery) -> Envelope:
    """The send that would put the message on its channel again."""
    return Envelope(
        delivery.channel,
        delivery.payload,
        lane=delivery.lane,
        attempts=delivery.attempts,
        crashes=delivery.crashes,
    )


def receipts(done: Iterable[Delivery], *, lost: bool = False) -> list[Envelope]:
    """The sends that tell the lanes of messages that these have been dealt with."""
    lanes = [delivery.lane for delivery in done if delivery.lane]
    return [each for lane in lanes for each in receipt(lane, lost=lost)]


def acknowledgements(shard: Shard, done: Iterable[Delivery]) -> list[Command]:
    """The commands after which the messages in ``done`` are no longer on the bus."""
    by_channel: defaultdict[str, list[bytes]] = defaultdict(list)
    for delivery in done:
        by_channel[delivery.channel].append(delivery.token.entry_id)
    commands: list[Command] = []
    for name, ids in by_channel.items():
        key = shard.keys.channel(name)
        commands += [("XACK", key, WORKERS, *ids), ("XDEL", key, *ids)]
    return commands


def by_shard(done: Iterable[Delivery]) -> list[tuple[Shard, list[Delivery]]]:
    """Messages in hand, with the shard that they came from."""
    found: dict[int, tuple[Shard, list[Delivery]]] = {}
    for delivery in done:
        shard = delivery.token.shard
        found.setdefault(id(shard), (shard, []))[1].append(delivery)
    return list(found.values())
