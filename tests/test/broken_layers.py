"""Channel layers with one fault each, for the checks to find."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from math import inf
from typing import Any

from channels_classic.exceptions import ChannelFull, InvalidContent
from channels_classic.layers.ends import always_open, no_receipts
from channels_classic.layers.in_memory import store as memory_store
from channels_classic.layers.in_memory.ends import MemoryInbox, MemoryReceiver
from channels_classic.layers.in_memory.store import Entry
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.layers.names import non_local_name
from channels_classic.layers.traffic import Arrival, Delivery, Envelope


class Parts(InMemoryChannelLayer):
    """A layer whose parts a subclass may replace."""

    Store = memory_store.Store
    Receiver = MemoryReceiver
    Inbox = MemoryInbox

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.store = self.Store(self, self._codec, self._clock)

    def receiver(self, channels, *, worker=""):
        return self.Receiver(self, channels)

    def inbox(self, process, is_open=always_open, on_receipt=no_receipts):
        super().inbox(process, is_open, on_receipt)
        return self.Inbox(self, process, on_receipt)


# What is sent and received ----------------------------------------------------------------


class LosesEveryThird(Parts):
    class Store(memory_store.Store):
        sent = 0

        def put_one(self, envelope):
            self.sent += 1
            return self.sent % 3 == 0 or super().put_one(envelope)


class DeliversTwice(Parts):
    class Store(memory_store.Store):
        def put_one(self, envelope):
            return super().put_one(envelope) and super().put_one(envelope)


class TakesWithoutRemoving(Parts):
    """As a layer does that reads in one step and removes in the next."""

    class Store(memory_store.Store):
        late = 0

        def take(self, name, receipts=None):
            taken = super().take(name, receipts)
            if taken and not taken.entry.locals:
                lock = self.limits._changed
                lock.release()
                time.sleep(0.0001)
                lock.acquire()
                self.late += 1
                if self.late % 20 == 0:
                    self.put_back(name, taken.entry)
            return taken


class Reorders(Parts):
    class Store(memory_store.Store):
        def take(self, name, receipts=None):
            self.channels.get(name, deque()).reverse()
            return super().take(name, receipts)


class StarvesQuietChannels(InMemoryChannelLayer):
    def _take_one(self, names):
        for name in names:
            if taken := self.store.take(name):
                return name, taken.content
        return None


class IgnoresCapacity(InMemoryChannelLayer):
    def get_capacity(self, channel):
        return 10**9


class DropsWhatIsOverCapacity(InMemoryChannelLayer):
    def deliver(self, envelopes):
        super().deliver(envelopes)
        return []


class SharesCapacityOfProcess(Parts):
    """As Channels 1 did."""

    class Store(memory_store.Store):
        def put_one(self, envelope):
            process = non_local_name(envelope.name)
            waiting = len(self.channels.get(process, ()))
            if "!" in envelope.name and waiting >= self.limits.capacity:
                return False
            return super().put_one(envelope)


class CountsExpiredMessages(Parts):
    class Store(memory_store.Store):
        def sweep(self, now):
            pass

        def put_one(self, envelope):
            waiting = len(self.channels.get(envelope.name, ()))
            if "!" not in envelope.name and waiting >= self.limits.capacity:
                return False
            return super().put_one(envelope)


class NeverExpires(Parts):
    class Store(memory_store.Store):
        def expire(self, name, entries):
            pass


class AlwaysExpires(InMemoryChannelLayer):
    """Knows nothing of channels that keep their messages for ever."""

    def get_expiry(self, channel):
        return self.expiry


class RaisesWhenMemberIsFull(Parts):
    class Store(memory_store.Store):
        def put_group(self, envelope):
            for member in self.groups.of(envelope.name):
                if not self.put_one(envelope._replace(name=member)):
                    raise ChannelFull


class LeaksMutations(InMemoryChannelLayer):
    """Carries the very objects it is given."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._codec.encode = lambda content: content
        self._codec.decode = lambda content: content


class SharesGroupContent(InMemoryChannelLayer):
    """Decodes once for all members."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        decode, known = self._codec.decode, {}
        self._codec.decode = lambda data: known.setdefault(data, decode(data))


class MakesTextOfBytes(InMemoryChannelLayer):
    def encode(self, content):
        def text(value):
            if isinstance(value, dict):
                return {key: text(item) for key, item in value.items()}
            if isinstance(value, (list, tuple)):
                return [text(item) for item in value]
            return value.decode("latin-1") if isinstance(value, bytes) else value

        return super().encode(text(content))


class KnowsNoSizeLimit(InMemoryChannelLayer):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._codec.max_size = 10**9


class HidesWhereTheBadValueIs(InMemoryChannelLayer):
    def encode(self, content):
        try:
            return super().encode(content)
        except InvalidContent:
            raise InvalidContent from None


class AcceptsAnyName(InMemoryChannelLayer):
    def prepare(self, name, content, *, to_group=False, **more):
        return Envelope(str(name), self.encode(content), to_group)


class MakesTheSameChannelTwice(InMemoryChannelLayer):
    def new_channel(self, pattern):
        super().new_channel(pattern)
        return f"{pattern}always"


class IgnoresDiscard(InMemoryChannelLayer):
    def group_discard(self, group, channel):
        super().group_discard(group, channel)
        super().group_add(group, channel)


class CountsMembersTwice(Parts):
    """Whoever is added twice gets everything twice."""

    class Store(memory_store.Store):
        def put_group(self, envelope):
            super().put_group(envelope)
            for member, times in getattr(self, "added", {}).get(envelope.name, {}).items():
                for _ in range(times - 1):
                    self.put_one(envelope._replace(name=member))

    def group_add(self, group, channel):
        super().group_add(group, channel)
        self.store.added = getattr(self.store, "added", {})
        members = self.store.added.setdefault(group, {})
        members[channel] = members.get(channel, 0) + 1


class CountsJoins(InMemoryChannelLayer):
    """Says how many members a group has by its joins and leaves."""

    joins = 0

    def group_add(self, group, channel):
        super().group_add(group, channel)
        self.joins += 1

    def group_discard(self, group, channel):
        super().group_discard(group, channel)
        self.joins -= 1

    def group_count(self, group):
        return self.joins


class LetsTheClosedJoin(InMemoryChannelLayer):
    def inbox(self, process, is_open=always_open, on_receipt=no_receipts):
        return super().inbox(process, always_open, on_receipt)


class ForgetsConnections(InMemoryChannelLayer):
    """Ends the memberships of sockets with ``group_expiry``, as Channels 1 did."""

    def group_add(self, group, channel):
        super().group_add(group, channel)
        self.store.groups.discard(group, channel)
        self.store.groups.add(group, channel, until=self._clock() + self.group_expiry)


class RemembersPlainMembers(InMemoryChannelLayer):
    def group_add(self, group, channel):
        super().group_add(group, channel)
        self.store.groups.discard(group, channel)
        self.store.groups.add(group, channel, until=inf)


class RenewsNoMembership(InMemoryChannelLayer):
    def group_add(self, group, channel):
        if channel not in self.store.groups.of(group):
            super().group_add(group, channel)


class LooksUpMembersTooLate(Parts):
    """Finds out who is in a group when a message is received."""

    class Store(memory_store.Store):
        def put_group(self, envelope):
            for name in self.groups.by_process(envelope.name):
                if "!" in name:
                    group = (f"*{envelope.name}",)
                    self.add(name, Entry(envelope.payload, 0, inf, group, direct=False))

        def take(self, name, receipts=None):
            taken = super().take(name, receipts)
            if taken and taken.entry.locals and taken.entry.locals[0].startswith("*"):
                members = self.groups.by_process(taken.entry.locals[0][1:]).get(name)
                entry = taken.entry._replace(locals=tuple(members or ()))
                return taken._replace(entry=entry) if members else None
            return taken


class WritesOncePerMember(Parts):
    class Store(memory_store.Store):
        def put_group(self, envelope):
            for member in self.groups.of(envelope.name):
                self.put_one(envelope._replace(name=member))


class DropsGroupMessagesNowAndThen(Parts):
    class Store(memory_store.Store):
        sends = 0

        def put_group(self, envelope):
            self.sends += 1
            if self.sends % 10:
                super().put_group(envelope)


class FlushesNoGroups(InMemoryChannelLayer):
    def flush(self):
        groups = self.store.groups
        super().flush()
        self.store.groups = groups


class NeverBlocks(InMemoryChannelLayer):
    def receive(self, channels, block=False):
        return super().receive(channels)


class WaitsInCircles(InMemoryChannelLayer):
    """Blocks, by asking all the time."""

    def receive(self, channels, block=False):
        end, began = time.monotonic() + (1 if block else 0), time.thread_time()
        found = super().receive(channels)
        while not found[0] and time.monotonic() < end:
            found = super().receive(channels)
        while block and time.thread_time() - began < 0.15:
            pass  # however little of a loaded processor it got
        return found


class WakesUpLate(InMemoryChannelLayer):
    """Blocks, and looks every two seconds."""

    def _wake(self):
        pass

    def receive(self, channels, block=False):
        found = super().receive(channels)
        if block and not found[0]:
            time.sleep(2)
            found = super().receive(channels)
        return found


class TakesForThoseWhoHaveGone(InMemoryChannelLayer):
    """Leaves a thread behind that waits, when an async receive is cancelled."""

    async def receive_async(self, channels):
        return await asyncio.to_thread(self.receive, channels, True)


class TellsAllCallersOfRefusals(InMemoryChannelLayer):
    async def deliver_async(self, envelopes):
        await asyncio.sleep(0)
        return list(envelopes) if super().deliver(envelopes) or len(self.store.counts) < 2 else []


class DropsWhatIsGivenBack(Parts):
    class Receiver(MemoryReceiver):
        def give_back(self, deliveries):
            super().give_back(deliveries[1:])


class GivesBackAsNew(Parts):
    class Receiver(MemoryReceiver):
        def give_back(self, deliveries):
            for delivery in deliveries:
                self.layer.send(delivery.channel, delivery.content)


class LosesSendsOfExchanges(Parts):
    class Receiver(MemoryReceiver):
        def exchange(self, *, done, sends, limit, timeout):
            return super().exchange(done=done, sends=[], limit=limit, timeout=timeout)


class TakesTooMuch(Parts):
    class Receiver(MemoryReceiver):
        def exchange(self, *, done, sends, limit, timeout):
            return super().exchange(done=done, sends=sends, limit=limit + 1, timeout=timeout)


class NamesWrongChannels(Parts):
    class Receiver(MemoryReceiver):
        def exchange(self, **options):
            exchange = super().exchange(**options)
            first = self.channels[0]
            return exchange._replace(
                deliveries=[Delivery(first, d.content, d.token) for d in exchange.deliveries]
            )


class FreesNoRoom(Parts):
    class Inbox(MemoryInbox):
        def drained(self, local):
            pass


class KeepsClosedConnections(Parts):
    class Inbox(MemoryInbox):
        def forget(self, local):
            pass


class LeavesMembersBehind(Parts):
    class Inbox(MemoryInbox):
        async def close(self):
            pass


class ReadsInTheWrongOrder(Parts):
    class Inbox(MemoryInbox):
        async def read(self):
            self.layer.store.channels.get(self.process, deque()).reverse()
            return await super().read()


class LosesCancelledReads(Parts):
    class Inbox(MemoryInbox):
        async def read(self):
            name, content = await asyncio.to_thread(self.layer.receive, [self.process], True)
            return [Arrival((name.partition("!")[2],), content)] if name else []
