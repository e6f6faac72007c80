"""What an in-memory layer holds: messages, receipts, members and counters, with their limits."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from channels_classic.exceptions import UndecodableMessage
from channels_classic.layers.counters import Counter, no_counts
from channels_classic.layers.in_memory.attachments import Attachments
from channels_classic.layers.in_memory.dead import DeadLetters
from channels_classic.layers.in_memory.later import Later
from channels_classic.layers.in_memory.memberships import Memberships
from channels_classic.layers.names import non_local_name
from channels_classic.layers.traffic import Content, Delivery, Envelope, Load, split_lane

if TYPE_CHECKING:
    from channels_classic.layers.base import BaseChannelLayer
    from channels_classic.layers.codec import Codec
    from channels_classic.layers.ends import IsOpen

#: How many entries a process may leave unread before it misses messages to groups.
BEHIND = 10_000
#: How often everything is searched for what has expired, in seconds.
SWEEP = 1.0


class Entry(NamedTuple):
    """One message that waits on a channel or in the inbox of a process."""

    payload: bytes
    born: float
    #: When it expires; infinity is never.
    deadline: float
    #: Local parts, in the inbox of a process; empty on any other channel.
    locals: tuple[str, ...] = ()
    direct: bool = True
    lane: str = ""
    attempts: int = 0
    crashes: int = 0


class Receipt(NamedTuple):
    """What an inbox holds for a lane: the message with ``number`` has been dealt with."""

    local: str
    number: int
    lost: bool


class Taken(NamedTuple):
    """A message that has left its channel."""

    entry: Entry
    content: Content


class Store:
    """Its caller holds the lock, and looks at ``changed`` and ``take_notes`` before it lets go.

    ``limits`` says how many messages may wait where, and for how long. A process is known by its
    inbox, from ``is_open[process]`` on.
    """

    def __init__(self, limits: BaseChannelLayer, codec: Codec, clock: Callable[[], float]) -> None:
        self.limits = limits
        self.codec = codec
        self.clock = clock
        self.is_open: dict[str, IsOpen] = {}
        self.dead = DeadLetters(codec, limits.dead_limit)
        #: Something was put where somebody may wait for it.
        self.changed = False
        self._empty()

    def _empty(self) -> None:
        self.channels: dict[str, deque[Entry | Receipt]] = {}
        #: By connection, the messages that have not reached its client.
        self.waiting: defaultdict[str, int] = defaultdict(int)
        self.later = Later()
        self.groups = Memberships(self.clock)
        self.attachments = Attachments()
        self.counts: defaultdict[str, dict[str, float]] = defaultdict(no_counts)
        self.totals = no_counts()
        #: By closed connection that is still sent to, until when that is known.
        self.gone: dict[str, float] = {}
        self._notes: dict[tuple[str, Counter], int] = {}
        self._sweep_at = self.clock() + SWEEP

    def clear(self) -> None:
        """Forget everything but the inboxes; lanes hear that their messages are lost."""
        waiting = [each for entries in self.channels.values() for each in entries]
        lanes = [each.lane for each in waiting if isinstance(each, Entry)]
        lanes += [envelope.lane for envelope in self.later]
        self._empty()
        self.dead.clear()
        for lane in lanes:
            self.receipt(lane, lost=True)

    # Sending --------------------------------------------------------------------------

    def put(self, envelope: Envelope) -> bool:
        """Accept a send, for now or for later; False when its channel is full."""
        if envelope.to_group:
            self.put_group(envelope)
            return True
        return self._put_off(envelope) if envelope.delay > 0 else self.put_one(envelope)

    def _put_off(self, envelope: Envelope) -> bool:
        name = non_local_name(envelope.name)
        is_new = not envelope.attempts  # what is tried again was let in before
        if is_new and self.later.waiting(name) >= self.limits.later_limit:
            self.happened(name, Counter.FULL)
            return False
        self.later.add(name, self.clock() + envelope.delay, envelope)
        if is_new:
            self.count(name, Counter.SENT)
        self.changed = True  # those who wait are to look when it is due
        return True

    def put_one(self, envelope: Envelope) -> bool:
        """Put a message on its channel; False when that is full."""
        name = non_local_name(envelope.name)
        if self.is_gone(envelope.name):
            self.count(name, Counter.FULL)
            return False
        if not (envelope.attempts or self._has_room(name, envelope)):
            self.happened(name, Counter.FULL)
            return False
        if not envelope.attempts:
            self.count(name, Counter.SENT)
        self.append(envelope)
        return True

    def _has_room(self, name: str, envelope: Envelope) -> bool:
        entries = self.channels.get(name, deque())
        self.expire(name, entries)
        capacity = self.limits.get_room(name, len(envelope.payload))
        if "!" in name:  # what is sent to a connection is a whole with what it got before
            return self.waiting.get(envelope.name, 0) < capacity
        if self.limits.get_overflow(name) == "drop_oldest":
            while len(entries) >= capacity:
                self._give_up(name, entries.popleft(), Counter.DROPPED)
        return len(entries) < capacity

    def append(self, envelope: Envelope) -> None:
        """Put a message on its channel, full or not."""
        name = non_local_name(envelope.name)
        locals_ = (envelope.name[len(name) :],) if "!" in name else ()
        if locals_:
            self.waiting[envelope.name] += 1
        entry = self._entry(name, envelope.payload)._replace(
            locals=locals_,
            lane=envelope.lane,
            attempts=envelope.attempts,
            crashes=envelope.crashes,
        )
        self.add(name, entry)

    def _entry(self, name: str, payload: bytes) -> Entry:
        now, expiry = self.clock(), self.limits.get_expiry(name)
        return Entry(payload, now, inf if expiry is None else now + expiry)

    def add(self, name: str, entry: Entry | Receipt) -> None:
        """Put an entry at the end of a channel or inbox."""
        self.channels.setdefault(name, deque()).append(entry)
        self.changed = True

    def put_group(self, envelope: Envelope) -> None:
        """One entry for each process, whatever the number of its members."""
        for name, locals_ in self.groups.by_process(envelope.name).items():
            if "!" not in name:
                self.put_one(envelope._replace(name=name, to_group=False))
            elif len(self.channels.get(name, ())) >= BEHIND:
                self.happened(name, Counter.MISSED)
            else:
                entry = self._entry(name, envelope.payload)
                self.add(name, entry._replace(locals=tuple(locals_), direct=False))

    def settle(self, done: Sequence[Delivery], sends: Sequence[Envelope]) -> list[Envelope]:
        """Accept the sends; behind them, the receipts of what is done."""
        refused = [envelope for envelope in sends if not self.put(envelope)]
        for delivery in done:
            self.receipt(delivery.lane, lost=False)
        return refused

    def receipt(self, lane: str, *, lost: bool) -> None:
        """Tell the process of ``lane`` that its message has been dealt with, or is lost."""
        found = split_lane(lane)
        if found is None:
            return
        reply_channel, number = found
        process = non_local_name(reply_channel)
        if process in self.is_open:
            self.add(process, Receipt(reply_channel[len(process) :], number, lost))

    # Receiving ------------------------------------------------------------------------

    def take(self, name: str, receipts: list[Receipt] | None = None) -> Taken | None:
        """The next message of ``name``; receipts before it go to ``receipts``."""
        entries = self.channels.get(name, deque())
        taken = None
        while taken is None and entries:
            taken = self._next(name, entries, receipts)
        if not entries:
            self.channels.pop(name, None)
        return taken

    def _next(
        self, name: str, entries: deque[Entry | Receipt], receipts: list[Receipt] | None
    ) -> Taken | None:
        self.expire(name, entries)
        entry = entries.popleft() if entries else None
        if isinstance(entry, Receipt) and receipts is not None:
            receipts.append(entry)
        if not isinstance(entry, Entry):
            return None
        try:
            return Taken(entry, self.codec.decode(entry.payload))
        except UndecodableMessage:
            self._give_up(name, entry, Counter.UNDECODABLE)
            return None

    def put_back(self, name: str, entry: Entry) -> None:
        """Put what was taken back to the head of its channel, as old as it is."""
        self.channels.setdefault(name, deque()).appendleft(entry)
        self.changed = True

    def drained(self, connection: str) -> None:
        """One direct message has reached the client of ``connection``."""
        left = self.waiting.pop(connection, 0) - 1
        if left > 0:
            self.waiting[connection] = left

    def has_any(self, names: Iterable[str]) -> bool:
        """Whether something waits under one of ``names``."""
        return any(self.channels.get(name) for name in names)

    # Time -----------------------------------------------------------------------------

    def tick(self) -> None:
        """Put what is due on its channels; now and then, look for what has expired."""
        now = self.clock()
        for envelope in self.later.take_due(now):
            self.append(envelope)
        if now >= self._sweep_at:
            self._sweep_at = now + SWEEP
            self.sweep(now)

    def sweep(self, now: float) -> None:
        """Drop what has expired on channels and in groups that nobody asks for any more."""
        for name, entries in list(self.channels.items()):
            self.expire(name, entries)
        self.channels = {name: entries for name, entries in self.channels.items() if entries}
        self.groups.expire()
        self.attachments.expire(now)
        self.gone = {name: until for name, until in self.gone.items() if until > now}

    def due_in(self) -> float:
        """Seconds until the next delayed message is due, not less than a thousandth."""
        return max(0.001, self.later.first_due - self.clock())

    def expire(self, name: str, entries: deque[Entry | Receipt]) -> None:
        """Drop what has expired; behind a receipt, it waits for somebody to read that."""
        now = self.clock()
        while entries and isinstance(entries[0], Entry) and entries[0].deadline <= now:
            self._give_up(name, entries.popleft(), Counter.EXPIRED)

    def is_gone(self, connection: str) -> bool:
        """Whether somebody was told lately that ``connection`` is closed."""
        return self.gone.get(connection, 0) > self.clock()

    # What became of messages -------------------------------------------------------------

    def _give_up(self, name: str, entry: Entry | Receipt, counter: Counter) -> None:
        if isinstance(entry, Receipt):
            return
        self.happened(name, counter)
        if entry.direct and entry.locals:
            self.drained(name + entry.locals[0])
        self.receipt(entry.lane, lost=True)

    def happened(self, name: str, counter: Counter) -> None:
        """Count what is worth a line in the log, too."""
        self.count(name, counter)
        note = _counted(name), counter
        self._notes[note] = self._notes.get(note, 0) + 1

    def count(self, name: str, counter: Counter, number: int = 1) -> None:
        """Add to a counter; channels with random names are counted with all of their base."""
        self.counts[_counted(name)][counter] += number
        self.totals[counter] += number

    def take_notes(self) -> list[tuple[str, Counter, int]]:
        """What happened since the last call: channel, counter, how often."""
        if not self._notes:
            return []
        notes, self._notes = self._notes, {}
        return [(name, counter, number) for (name, counter), number in notes.items()]

    def load(self, name: str, *, workers: int) -> Load:
        """The load of a plain channel that so many ``workers`` read."""
        self.expire(name, self.channels.get(name, deque()))
        found = self.statistics(name)
        completed = int(found[Counter.COMPLETED])
        return Load(int(found["messages_pending"]), found["messages_max_age"], completed, workers)

    def statistics(self, name: str) -> dict[str, float]:
        """The counters of a channel or process, and what waits there."""
        waiting = [each for each in self.channels.get(name, ()) if isinstance(each, Entry)]
        age = max(0.0, self.clock() - waiting[0].born) if waiting else 0.0
        counts = self.counts.get(_counted(name)) or no_counts()
        return {**counts, "messages_pending": len(waiting), "messages_max_age": age}


def _counted(name: str) -> str:
    return name[: name.find("?") + 1] or name
