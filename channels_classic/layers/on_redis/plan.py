"""From sends to as few commands as keep their order towards every destination."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgpack

from channels_classic.layers.counters import Counter
from channels_classic.layers.names import non_local_name
from channels_classic.layers.on_redis.wire import LATER, REPLY, SEND, SEND_GROUP, Command, Keys
from channels_classic.layers.traffic import Envelope, split_lane

if TYPE_CHECKING:
    from channels_classic.layers.base import BaseChannelLayer

#: Keys of channels outlive the last send to them by the expiry and this, in seconds.
GRACE = 60
#: Sends in one command at most; Lua passes replies on as arguments, of which it takes about 8,000.
_MOST = 1000
#: The capacity for a message that is tried again: it was let in before.
_UNLIMITED = 2**40
#: The fields of an entry on a plain channel; see ``lua/send.lua``.
PAYLOAD, LANE, ATTEMPTS, CRASHES, FIRST = b"m", b"r", b"a", b"c", b"t"


def receipt(lane: str, *, lost: bool = False) -> list[Envelope]:
    """The send that tells the connection of ``lane``; none when it is not one of ours."""
    parts = split_lane(lane)
    if parts is None:
        return []
    process = non_local_name(parts[0])
    local = parts[0][len(process) :]
    payload = f"{parts[1]} lost" if lost else str(parts[1])
    return [Envelope(f"{process}={local}", payload.encode())]


def fields_of(envelope: Envelope) -> list[Any]:
    """The fields of the entry of ``envelope`` on a plain channel."""
    fields = [PAYLOAD, envelope.payload]
    if envelope.lane:
        fields += [LANE, envelope.lane]
    if envelope.attempts:
        fields += [ATTEMPTS, envelope.attempts]
    if envelope.crashes:
        fields += [CRASHES, envelope.crashes]
    return fields


class Outcome(NamedTuple):
    """What came of a step: sends that were refused, and sends that follow from it.

    And how many messages were removed for having expired, or for newer ones.
    """

    refused: list[Envelope]
    more: list[Envelope]
    expired: int = 0
    dropped: int = 0
    #: The processes that did not get a message to a group.
    missed: Sequence[str] = ()


class Step:
    """One command that carries some sends, all for one destination."""

    def __init__(self, command: Command, envelopes: list[Envelope]) -> None:
        self.command = command
        self.envelopes = envelopes

    def outcome(self, reply: Any) -> Outcome:
        """By what the script answered: how many of the sends were accepted, from the first on.

        With it may come how many messages were removed, and the lanes of these.
        """
        if isinstance(reply, int):
            return Outcome(self.envelopes[reply:], [])
        accepted, expired, dropped, *lanes = reply
        lost = [each for lane in lanes for each in receipt(_text(lane), lost=True)]
        return Outcome(self.envelopes[accepted:], lost, expired, dropped)


class ReplyStep(Step):
    """Sends to connections of one process."""

    def outcome(self, reply: Any) -> Outcome:
        return Outcome([self.envelopes[int(index)] for index in reply], [])


class GroupStep(Step):
    """One send to a group: it passes over full members."""

    def outcome(self, reply: Any) -> Outcome:
        names = [_text(name) for name in reply]
        plain = [name for name in names if not name.endswith("!")]
        missed = [name for name in names if name.endswith("!")]
        more = [Envelope(name, self.envelopes[0].payload) for name in plain]
        return Outcome([], more, missed=missed)


class Planner:
    """Plans for one Redis server; ``layer`` knows the capacities and other limits.

    ``number`` is that of the server among ``shards``, which share the capacity of plain channels.
    """

    def __init__(
        self,
        keys: Keys,
        layer: BaseChannelLayer,
        *,
        inbox_limit: int,
        number: int = 0,
        shards: int = 1,
    ) -> None:
        self.keys = keys
        self.inbox_limit = inbox_limit
        self._number = number
        self._shards = shards
        self._layer = layer
        self._limits: dict[str, tuple[Any, ...]] = {}

    def steps(self, envelopes: Iterable[Envelope]) -> list[Step]:
        """The commands for ``envelopes``.

        Sends to one destination travel together; a group's send ends what may travel together,
        because its members' own channels may come after it.
        """
        steps: list[Step] = []
        together: dict[Any, list[Envelope]] = {}
        for envelope in envelopes:
            if envelope.to_group:
                steps += map(self._step, together.values())
                together = {}
                steps.append(GroupStep(self._group(envelope), [envelope]))
                continue
            name = non_local_name(envelope.name)
            again = envelope.attempts > 0
            key = (name, bool(envelope.delay), again) if envelope.delay or again else name
            batch = together.setdefault(key, [])
            batch.append(envelope)
            if len(batch) >= _MOST:
                steps.append(self._step(together.pop(key)))
        steps += map(self._step, together.values())
        return steps

    def _step(self, batch: list[Envelope]) -> Step:
        name = non_local_name(batch[0].name)
        if batch[0].delay:
            return Step(self._later(name, batch), batch)
        if name.endswith("!"):
            return ReplyStep(self._reply(name, batch), batch)
        return Step(self._send(name, batch), batch)

    def outcome(self, step: Step, reply: Any) -> Outcome:
        """The outcome of a step that was carried out; what was lost by it is logged."""
        outcome = step.outcome(reply)
        name, note = non_local_name(step.envelopes[0].name), self._layer.note
        if outcome.refused and self.limits(name)[3] != "pass":
            note(name, Counter.FULL, len(outcome.refused), detail="add workers, or raise capacity")
        if outcome.expired:
            note(name, Counter.EXPIRED, outcome.expired)
        if outcome.dropped:
            note(name, Counter.DROPPED, outcome.dropped, detail="for newer ones")
        for process in outcome.missed:
            note(process, Counter.MISSED, detail="it does not read its inbox")
        return outcome

    def limits(self, name: str) -> tuple[Any, ...]:
        """Capacity, expiry and life in ms (0 is for ever), and overflow of a channel."""
        found = self._limits.get(name)
        if found is None:
            layer = self._layer
            expiry = layer.get_expiry(name)
            expiry_ms = int((expiry or 0) * 1000)
            lives_ms = expiry_ms + GRACE * 1000 if expiry else 0
            capacity, overflow = self._room(name)
            found = (capacity, expiry_ms, lives_ms, overflow)
            if "?" not in name:  # random names would fill this
                self._limits[name] = found
        return found

    def _room(self, name: str) -> tuple[int, str]:
        """Capacity and overflow; a full share of a capacity is no refusal yet: others have room."""
        capacity, overflow = self._layer.get_capacity(name), self._layer.get_overflow(name)
        if self._shards == 1 or "!" in name or "?" in name:
            return capacity, overflow
        share = (capacity + self._shards - 1 - self._number) // self._shards
        return max(1, share), "pass" if overflow == "refuse" else overflow

    def inbox_lives(self, process: str) -> int:
        """How long the inbox of a process outlives its last reader, in ms: never for ever."""
        return int(self.limits(process)[2]) or 86_400_000

    def _send(self, name: str, batch: list[Envelope]) -> Command:
        keys = [self.keys.channel(name)]
        if "?" not in name:
            keys.append(self.keys.stats(name))
        args = list(self.limits(name))
        if batch[0].attempts:
            args[0], args[3] = _UNLIMITED, "again"
        for envelope in batch:
            fields = fields_of(envelope)
            args.append(len(fields))
            args += fields
        return SEND.command(keys, args)

    def _later(self, name: str, batch: list[Envelope]) -> Command:
        is_new = not batch[0].attempts
        args: list[Any] = [self._layer.later_limit if is_new else _UNLIMITED]
        for envelope in batch:
            local = envelope.name[len(name) :]
            fields = ["!" + local, envelope.payload] if local else fields_of(envelope)
            entry = [os.urandom(8), *(_raw(field) for field in fields)]
            args += (int(envelope.delay * 1000), msgpack.packb(entry, use_bin_type=False))
        stats = [self.keys.stats(name)] if is_new else []
        return LATER.command([self.keys.later(name), *stats], args)

    def _reply(self, process: str, batch: list[Envelope]) -> Command:
        keys = (self.keys.inbox(process), self.keys.waiting(process), self.keys.stats(process))
        capacity, expiry_ms, *_ = self.limits(process)
        window = self._layer.reply_window
        args: list[Any] = [capacity, window, expiry_ms, self.inbox_lives(process)]
        at = len(process)
        for envelope in batch:
            args += (envelope.name[at:], envelope.payload)
        return REPLY.command(keys, args)

    def _group(self, envelope: Envelope) -> Command:
        keys = self.keys
        args = (envelope.name, envelope.payload, keys.inbox_prefix, keys.stats_prefix)
        lives = self.inbox_lives("!")
        return SEND_GROUP.command([keys.group(envelope.name)], (*args, self.inbox_limit, lives))


def _raw(field: Any) -> bytes:
    """As Redis would take it: an int as text."""
    return field if isinstance(field, bytes) else str(field).encode()


def _text(name: bytes) -> str:
    return name.decode("ascii", "replace")
