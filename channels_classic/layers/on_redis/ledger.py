"""The ledger on Redis: each process reports to its own shard, and all of them are read."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import msgpack

from channels_classic.exceptions import UndecodableMessage
from channels_classic.layers.counters import Counter
from channels_classic.layers.ledger import (
    MOST_CHANNELS,
    MOST_REPORTS,
    SURVEY_LASTS,
    Census,
    ChannelFacts,
    Delayed,
    Ledger,
)
from channels_classic.layers.names import is_plain, valid_channel_name
from channels_classic.layers.on_redis import dead, upkeep
from channels_classic.layers.on_redis.plan import PAYLOAD
from channels_classic.layers.on_redis.shard import Shard
from channels_classic.layers.on_redis.spread import Spread, load_command, summed_load
from channels_classic.layers.on_redis.wire import REPORT, REPORTS, Command, Keys

if TYPE_CHECKING:
    from channels_classic.layers.redis import RedisChannelLayer
    from channels_classic.layers.traffic import Content, DeadLetter

T = TypeVar("T")

#: How long the history outlives the last record, in ms.
_DAY = 86_400_000
#: What the shard of the history is found by.
_HISTORY = "history"
#: Commands for each channel.
_EACH = 4


def report_command(shard: Shard, process: str, payload: bytes, ttl: float) -> Command:
    """The command by which a process says what it does, to its own shard."""
    keys = [shard.keys.reports, shard.keys.reporting]
    return REPORT.command(keys, [process, payload, int(ttl * 1000)])


class RedisLedger(Ledger):
    """Shards that are away are passed over, unless all of them are."""

    def __init__(self, layer: RedisChannelLayer, spread: Spread) -> None:
        self._layer = layer
        self._spread = spread
        self._surveyed: tuple[set[str], int] = set(), 0
        self._survey_at = 0.0

    def report(self, process: str, content: Content, *, ttl: float) -> None:
        shard = self._place(process)
        payload = self._layer.encode(content)
        with self._layer.presence.noted(shard):
            shard.call(report_command(shard, process, payload, ttl))

    def _place(self, name: str) -> Shard:
        """The shard of ``name``, or another one while that is away: all of them are read."""
        shard, presence = self._layer.shard_of(name), self._layer.presence
        return presence.present()[0] if presence.is_away(shard) else shard

    def _ask(self, shard: Shard, *commands: Command) -> list[Any]:
        with self._layer.presence.noted(shard):
            return shard.ask(*commands)

    # The census ---------------------------------------------------------------------------

    def census(self, channels: Sequence[str] = (), *, others: bool = True) -> Census:
        reports: dict[str, Content] = {}
        buried = 0
        for shard, (letters, *found) in self._ask_each(lambda keys: _look(keys, reports=others)):
            buried += letters or 0
            for each in found:
                reports |= dict(_decoded(shard, each or ()))
        if not others:
            return Census(self._facts(channels[:MOST_CHANNELS]), {}, buried, 0)
        read = {name for each in reports.values() for name in _channels(each)}
        counted, groups = self._survey()
        names = list(dict.fromkeys([*channels, *sorted(read | counted)]))[:MOST_CHANNELS]
        return Census(self._facts(names), reports, buried, groups)

    def _facts(self, names: Sequence[str]) -> dict[str, ChannelFacts]:
        if not names:
            return {}
        found = [
            _per_channel(replies)
            for _, replies in self._ask_each(lambda keys: _questions(keys, names))
        ]
        return {
            name: _facts(each) for name, each in zip(names, zip(*found, strict=True), strict=True)
        }

    def _survey(self) -> tuple[set[str], int]:
        """The channels for which something was counted, and the number of groups."""
        if time.monotonic() >= self._survey_at:
            found = self._each(upkeep.survey)
            names = {name for each, _ in found for name in each if is_plain(name)}
            self._surveyed = names, sum(number for _, number in found)
            self._survey_at = time.monotonic() + SURVEY_LASTS
        return self._surveyed

    def _ask_each(self, commands: Callable[[Keys], list[Command]]) -> list[tuple[Shard, list[Any]]]:
        """The replies of each shard that answers; ``LayerUnavailable`` when none does."""
        return self._each(lambda shard: (shard, shard.ask(*commands(shard.keys))))

    def _each(self, call: Callable[[Shard], T]) -> list[T]:
        return self._spread.each(call, self._layer.presence.present())

    # The rest -----------------------------------------------------------------------------

    def delayed(self, channel: str, limit: int = 100) -> list[Delayed]:
        name = valid_channel_name(channel)
        found: list[Delayed] = []
        for shard, (clock, members) in self._ask_each(
            lambda keys: [("TIME",), ("ZRANGE", keys.later(name), 0, limit - 1, "WITHSCORES")]
        ):
            for member, due in _pairs(members or ()):
                found.append(Delayed(name, _due_in(due, clock), _content(shard, member)))
        return sorted(found, key=lambda each: each.due_in)[:limit]

    def newest_dead(self, limit: int) -> list[DeadLetter]:
        newest = self._ask_each(lambda keys: [("XREVRANGE", keys.dead, "+", "-", "COUNT", limit)])
        found = [
            letter
            for shard, [entries] in newest
            for letter in dead.read(self._layer, shard, entries or ())
        ]
        return heapq.nlargest(limit, found, key=lambda letter: letter.died)

    def dead_letter(self, id_: str) -> DeadLetter | None:
        return dead.one(self._layer, id_)

    def claim(self, name: str, seconds: float) -> bool:
        shard, lasts = self._place(name), int(seconds * 1000)
        return bool(self._ask(shard, ("SET", shard.keys.claim(name), 1, "NX", "PX", lasts))[0])

    def record(self, content: Content, *, limit: int) -> None:
        shard, payload = self._place(_HISTORY), self._layer.encode(content)
        add = ("XADD", shard.keys.history, "MAXLEN", limit, "*", PAYLOAD, payload)
        self._ask(shard, add, ("PEXPIRE", shard.keys.history, _DAY))

    def recorded(self, limit: int) -> list[tuple[float, Content]]:
        found: list[tuple[float, Content]] = []
        for shard, [entries] in self._ask_each(
            lambda keys: [("XREVRANGE", keys.history, "+", "-", "COUNT", limit)]
        ):
            pairs = ((entry_id, fields[1]) for entry_id, fields in reversed(entries or ()))
            for entry_id, content in _decoded_pairs(shard, pairs):
                found.append((int(entry_id.split(b"-")[0]) / 1000, content))
        return sorted(found, key=lambda each: each[0])[-limit:]


def _look(keys: Keys, *, reports: bool) -> list[Command]:
    asked = REPORTS.command([keys.reports, keys.reporting], [MOST_REPORTS])
    return [("XLEN", keys.dead), *([asked] if reports else [])]


def _channels(report: Content) -> list[str]:
    """The plain channels that a worker reads; anybody may have written its report."""
    channels = report.get("channels")
    names = channels if isinstance(channels, list) else []
    return [name for name in names if isinstance(name, str) and is_plain(name)]


def _questions(keys: Keys, names: Sequence[str]) -> list[Command]:
    commands: list[Command] = [("TIME",)]
    for name in names:
        commands += [
            load_command(keys, name),
            ("HMGET", keys.stats(name), *map(str, Counter)),
            ("ZCARD", keys.later(name)),
            ("ZRANGE", keys.later(name), 0, 0, "WITHSCORES"),
        ]
    return commands


def _per_channel(replies: list[Any]) -> list[tuple[Any, ...]]:
    """The four replies for each channel, the due time of the last as seconds from now."""
    clock, *rest = replies
    found = []
    for at in range(0, len(rest), _EACH):
        load, counts, delayed, first = rest[at : at + _EACH]
        due = _due_in(first[1], clock) if first else None
        found.append((load or (0, 0, 0, 0), counts or (), delayed or 0, due))
    return found


def _facts(shards: Sequence[tuple[Any, ...]]) -> ChannelFacts:
    """Each shard has its own messages of a channel."""
    loads, counts, delayed, dues = zip(*shards, strict=True)
    total = dict.fromkeys(map(str, Counter), 0)
    for each in counts:
        for key, number in zip(Counter, each, strict=False):
            total[key] += int(number or 0)
    next_due = min((due for due in dues if due is not None), default=None)
    return ChannelFacts(summed_load(loads), total, sum(delayed), next_due)


def _due_in(due_ms: bytes, clock: Sequence[bytes]) -> float:
    """Seconds from what ``TIME`` said until a due time."""
    seconds, micros = clock
    return max(0.0, float(due_ms) / 1000 - int(seconds) - int(micros) / 1e6)


def _pairs(flat: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    return zip(flat[::2], flat[1::2], strict=True)


def _decoded(shard: Shard, flat: Sequence[Any]) -> Iterator[tuple[str, Content]]:
    for name, content in _decoded_pairs(shard, _pairs(flat)):
        yield name.decode("utf-8", "replace"), content


def _decoded_pairs(shard: Shard, pairs: Iterator[tuple[Any, Any]]) -> Iterator[tuple[Any, Content]]:
    """Those whose payload can be read."""
    for name, payload in pairs:
        try:
            content = shard.codec.decode(payload)
        except UndecodableMessage:
            continue
        yield name, content


def _content(shard: Shard, member: bytes) -> Content | None:
    """The content of a delayed message; see ``lua/later.lua``."""
    try:
        _, *fields = msgpack.unpackb(member, raw=True)
        return shard.codec.decode(dict(zip(fields[::2], fields[1::2], strict=True))[PAYLOAD])
    except Exception:  # whatever a foreign or broken entry makes the decoder say
        return None
