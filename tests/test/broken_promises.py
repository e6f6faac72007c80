"""Channel layers with one fault each: in lanes, delays, further attempts, counts, attachments."""

from __future__ import annotations

import itertools
from math import inf
from typing import Any

from channels_classic.layers.counters import Counter
from channels_classic.layers.in_memory import store as memory_store
from channels_classic.layers.in_memory.ends import MemoryInbox, MemoryReceiver
from channels_classic.layers.in_memory.store import Entry, Receipt
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.layers.names import non_local_name
from tests.test.broken_layers import Parts

# Lanes ------------------------------------------------------------------------------------


class GivesNoReceipts(Parts):
    class Store(memory_store.Store):
        def receipt(self, lane, *, lost):
            if lost:
                super().receipt(lane, lost=lost)


class GivesReceiptsWhenTaken(Parts):
    class Store(memory_store.Store):
        def take(self, name, receipts=None):
            taken = super().take(name, receipts)
            if taken:
                self.receipt(taken.entry.lane, lost=False)
            return taken


class GivesReceiptsToTheFirstOnly(Parts):
    class Store(memory_store.Store):
        def settle(self, done, sends):
            return super().settle(done[:1], sends)


class GivesReceiptsBeforeReplies(Parts):
    class Store(memory_store.Store):
        def settle(self, done, sends):
            super().settle(done, [])
            for envelope in sends:
                self.later.add(envelope.name, self.clock() + 1, envelope)
            return []


class StopsAtForeignLanes(Parts):
    class Store(memory_store.Store):
        def receipt(self, lane, *, lost):
            if lane:
                process, _, rest = lane.partition("!")
                local, number = rest.split(" ")
                self.add(f"{process}!", Receipt(local, int(number), lost))


class ForgetsLanesOfWhatIsGivenBack(Parts):
    class Store(memory_store.Store):
        def put_back(self, name, entry):
            super().put_back(name, entry._replace(lane=""))


class KeepsLossesSecret(Parts):
    """The lanes of messages that nobody will run wait for ever."""

    class Store(memory_store.Store):
        def receipt(self, lane, *, lost):
            if not lost:
                super().receipt(lane, lost=lost)


class TakesLossesForSuccess(Parts):
    class Store(memory_store.Store):
        def receipt(self, lane, *, lost):
            super().receipt(lane, lost=False)


# Later, again, and never ------------------------------------------------------------------


class KnowsNoDelay(Parts):
    class Store(memory_store.Store):
        def put(self, envelope):
            return super().put(envelope._replace(delay=0))


class LosesWhatIsDelayed(Parts):
    class Store(memory_store.Store):
        def put(self, envelope):
            return envelope.delay > 0 or super().put(envelope)


class MovesWhatIsDueTwice(Parts):
    """As two workers do that both look, and then both move."""

    class Store(memory_store.Store):
        def tick(self):
            due = self.later.take_due(self.clock())
            for envelope in [*due, *due[:1]]:
                self.append(envelope)
            super().tick()


class MovesWhatIsDueInOrderOfSends(Parts):
    class Store(memory_store.Store):
        def tick(self):
            due = self.later.take_due(self.clock())
            for envelope in sorted(due, key=lambda each: each.payload):
                self.append(envelope)
            super().tick()


class CountsTheDelayAsAge(Parts):
    class Store(memory_store.Store):
        def append(self, envelope):
            super().append(envelope)
            entries = self.channels[non_local_name(envelope.name)]
            entry = entries.pop()
            entries.append(entry._replace(deadline=entry.deadline - envelope.delay))


class DelaysWithoutLimit(Parts):
    class Store(memory_store.Store):
        def _put_off(self, envelope):
            self.later.add(envelope.name, self.clock() + envelope.delay, envelope)
            return True


class TakesAnyDelay(InMemoryChannelLayer):
    def _check_delay(self, name, delay, to_group):
        pass


class ForgetsAttempts(Parts):
    class Store(memory_store.Store):
        def append(self, envelope):
            super().append(envelope._replace(attempts=0, crashes=0))


class SendsAgainWhatConsumersMade(Parts):
    """Carries the content in place of what was on the bus."""

    class Receiver(MemoryReceiver):
        def exchange(self, **options):
            exchange = super().exchange(**options)
            emptied = self.layer.encode({})
            return exchange._replace(
                deliveries=[each._replace(payload=emptied) for each in exchange.deliveries]
            )


class DropsTheDead(InMemoryChannelLayer):
    def bury(self, delivery, reasons):
        self.lose([delivery], Counter.DEAD)


class BuriesWithoutReasons(InMemoryChannelLayer):
    def bury(self, delivery, reasons):
        super().bury(delivery, reasons._replace(error="", traceback=""))


class RequeuesACopy(InMemoryChannelLayer):
    """The dead letter stays."""

    def requeue_dead(self, letters):
        letters = list(letters)
        for letter in letters:
            self.send(letter.channel, letter.content)
        return len(letters)


class RequeuesInVain(InMemoryChannelLayer):
    """What finds no room is no dead letter any more."""

    def requeue_dead(self, letters):
        letters = list(letters)
        self.delete_dead(letters[1:])
        return super().requeue_dead(letters)


class DeletesAll(InMemoryChannelLayer):
    def delete_dead(self, letters):
        return super().delete_dead(self.dead_letters())


class BuriesWithoutLimit(InMemoryChannelLayer):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.store.dead._limit = 10**9


# Counters ---------------------------------------------------------------------------------


class CountsSendsAlone(Parts):
    """Counts the messages that were sent."""

    class Store(memory_store.Store):
        def count(self, name, counter, number=1):
            if counter is Counter.SENT:
                super().count(name, counter, number)


class CountsEachChannelAlone(Parts):
    class Store(memory_store.Store):
        def count(self, name, counter, number=1):
            super().count(name, counter, number)
            self.totals[counter] -= number


class DropsTheNewest(Parts):
    class Store(memory_store.Store):
        def put_one(self, envelope):
            accepted = super().put_one(envelope)
            return accepted or self.limits.get_overflow(envelope.name) == "drop_oldest"

        def _has_room(self, name, full_name):
            entries = self.channels.get(name, ())
            if len(entries) >= self.limits.get_capacity(name):
                return False
            return super()._has_room(name, full_name)


class LogsEveryLoss(InMemoryChannelLayer):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        serial = itertools.count()
        say = self._say
        self._say = lambda level, thing, text: say(level, (thing, next(serial)), text)


class BelievesInWorkersForEver(InMemoryChannelLayer):
    def withdraw(self, worker, channels):
        pass


class StopsAtGarbage(Parts):
    class Store(memory_store.Store):
        def _next(self, name, entries, receipts):
            taken = entries.popleft() if entries else None
            if isinstance(taken, Entry):
                return memory_store.Taken(taken, self.codec.decode(taken.payload))
            return None


# Attachments --------------------------------------------------------------------------------


class AttachesUnderOneKey(Parts):
    class Store(memory_store.Store):
        def _empty(self):
            super()._empty()
            put, get = self.attachments.put, self.attachments.get
            self.attachments.put = lambda channel, key, *args, **kw: put(channel, "", *args, **kw)
            self.attachments.get = lambda channel, key, **kw: get(channel, "", **kw)


class MergesWhatIsAttached(InMemoryChannelLayer):
    def attach(self, channel, key, content):
        [before] = self.attached([channel], key)
        super().attach(channel, key, {**(before or {}), **content})


class AttachesTheObjectItself(InMemoryChannelLayer):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.objects: dict[tuple[str, str], Any] = {}

    def attach(self, channel, key, content):
        self.encode_attachment(channel, key, content)
        self.objects[channel, key] = content

    def attached(self, channels, key):
        return [self.objects.get((channel, key)) for channel in channels]


class DetachesTheLastOnly(Parts):
    class Store(memory_store.Store):
        def _empty(self):
            super()._empty()
            remove, kept = self.attachments.remove, self.attachments._kept
            self.attachments.remove = lambda channel, key: (
                remove(channel, key) if len(kept) == 1 else None
            )


class AttachesUnderAnyKey(InMemoryChannelLayer):
    def encode_attachment(self, channel, key, content):
        return self.encode(content)


class AttachesToPlainChannelsForEver(Parts):
    class Store(memory_store.Store):
        def _empty(self):
            super()._empty()
            put = self.attachments.put
            self.attachments.put = lambda *args, until: put(*args, until=inf)


class ForgetsAttachmentsAtTheClose(Parts):
    class Inbox(MemoryInbox):
        def forget(self, local):
            super().forget(local)
            for key in ("user", "seat"):
                self.layer.detach(self.process + local, key)


class NeverForgetsAttachments(Parts):
    class Store(memory_store.Store):
        def _empty(self):
            super()._empty()
            self.attachments.end = lambda channel, until: None


class FlushesNoAttachments(InMemoryChannelLayer):
    def flush(self):
        kept = self.store.attachments
        super().flush()
        self.store.attachments = kept
