"""Channel layers with one fault each, for the checks to find."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Any

from channels_classic.exceptions import ChannelFull, InvalidContent
from channels_classic.layers.memory import (
    InMemoryChannelLayer,
    _Entry,
    _MemoryInbox,
    _MemoryReceiver,
)
from channels_classic.layers.names import non_local_name
from channels_classic.layers.traffic import Arrival, Delivery, Envelope


class LosesEveryThird(InMemoryChannelLayer):
    sent = 0

    def _put_one(self, name, payload):
        self.sent += 1
        return self.sent % 3 == 0 or super()._put_one(name, payload)


class DeliversTwice(InMemoryChannelLayer):
    def _put_one(self, name, payload):
        return super()._put_one(name, payload) and super()._put_one(name, payload)


class TakesWithoutRemoving(InMemoryChannelLayer):
    """As a layer does that reads in one step and removes in the next."""

    def _pop(self, name):
        entry = super()._pop(name)
        if entry and not entry.locals:
            self._changed.release()
            time.sleep(0.0001)
            self._changed.acquire()
            self.late = getattr(self, "late", 0) + 1
            if self.late % 20 == 0:
                self._channels.setdefault(name, deque()).appendleft(entry)
        return entry


class Reorders(InMemoryChannelLayer):
    def _pop(self, name):
        self._channels.get(name, deque()).reverse()
        return super()._pop(name)


class StarvesQuietChannels(InMemoryChannelLayer):
    def _take_one(self, names):
        for name in names:
            if entry := self._pop(name):
                return name, entry.payload
        return None


class IgnoresCapacity(InMemoryChannelLayer):
    def get_capacity(self, channel):
        return 10**9


class DropsWhatIsOverCapacity(InMemoryChannelLayer):
    def deliver(self, envelopes):
        super().deliver(envelopes)
        return []


class SharesCapacityOfProcess(InMemoryChannelLayer):
    """As Channels 1 did."""

    def _put_one(self, name, payload):
        process = non_local_name(name)
        if "!" in name and len(self._channels.get(process, ())) >= self.capacity:
            return False
        return super()._put_one(name, payload)


class CountsExpiredMessages(InMemoryChannelLayer):
    def _sweep(self):
        pass

    def _put_one(self, name, payload):
        if "!" not in name and len(self._channels.get(name, ())) >= self.capacity:
            return False
        return super()._put_one(name, payload)


class NeverExpires(InMemoryChannelLayer):
    def _expire(self, name, entries):
        pass


class RaisesWhenMemberIsFull(InMemoryChannelLayer):
    def _put_group(self, envelope):
        for member in self._groups.of(envelope.name):
            if not self._put_one(member, envelope.payload):
                raise ChannelFull


class DoesNotCountRefusals(InMemoryChannelLayer):
    def _put_one(self, name, payload):
        counts = self._counts[non_local_name(name)]
        before = counts["channel_full_count"]
        accepted = super()._put_one(name, payload)
        counts["channel_full_count"] = before
        return accepted


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
    def prepare(self, name, content, *, to_group=False):
        return Envelope(str(name), self.encode(content), to_group)


class MakesTheSameChannelTwice(InMemoryChannelLayer):
    def new_channel(self, pattern):
        super().new_channel(pattern)
        return f"{pattern}always"


class IgnoresDiscard(InMemoryChannelLayer):
    def group_discard(self, group, channel):
        super().group_discard(group, channel)
        super().group_add(group, channel)


class CountsMembersTwice(InMemoryChannelLayer):
    """Whoever is added twice gets everything twice."""

    def _put_group(self, envelope):
        super()._put_group(envelope)
        for member, times in getattr(self, "added", {}).get(envelope.name, {}).items():
            for _ in range(times - 1):
                self._put_one(member, envelope.payload)

    def group_add(self, group, channel):
        super().group_add(group, channel)
        self.added = getattr(self, "added", {})
        members = self.added.setdefault(group, {})
        members[channel] = members.get(channel, 0) + 1


class ForgetsConnections(InMemoryChannelLayer):
    """Ends the memberships of sockets with ``group_expiry``, as Channels 1 did."""

    def group_add(self, group, channel):
        super().group_add(group, channel)
        self._groups.add(group, channel, until=self._clock() + self.group_expiry)


class RemembersPlainMembers(InMemoryChannelLayer):
    def group_add(self, group, channel):
        super().group_add(group, channel)
        self._groups.add(group, channel, until=float("inf"))


class RenewsNoMembership(InMemoryChannelLayer):
    def group_add(self, group, channel):
        if channel not in self._groups.of(group):
            super().group_add(group, channel)


class LooksUpMembersTooLate(InMemoryChannelLayer):
    """Finds out who is in a group when a message is received."""

    def _put_group(self, envelope):
        payload = envelope.payload
        for process in {non_local_name(m) for m in self._groups.of(envelope.name) if "!" in m}:
            entry = _Entry(self._clock() + self.expiry, payload, (f"*{envelope.name}",), False)
            self._channels.setdefault(process, deque()).append(entry)

    def _pop(self, name):
        entry = super()._pop(name)
        if entry and entry.locals and entry.locals[0].startswith("*"):
            members = self._groups.of(entry.locals[0][1:])
            locals_ = tuple(m[len(name) :] for m in members if m.startswith(name))
            return entry._replace(locals=locals_) if locals_ else None
        return entry


class WritesOncePerMember(InMemoryChannelLayer):
    def _put_group(self, envelope):
        for member in self._groups.of(envelope.name):
            self._put_one(member, envelope.payload)


class DropsGroupMessagesNowAndThen(InMemoryChannelLayer):
    sends = 0

    def _put_group(self, envelope):
        self.sends += 1
        if self.sends % 10:
            super()._put_group(envelope)


class FlushesNoGroups(InMemoryChannelLayer):
    def flush(self):
        groups = self._groups
        super().flush()
        self._groups = groups


class NeverBlocks(InMemoryChannelLayer):
    def receive(self, channels, block=False):
        return super().receive(channels)


class WaitsInCircles(InMemoryChannelLayer):
    """Blocks, by asking all the time."""

    def receive(self, channels, block=False):
        end = time.monotonic() + (1 if block else 0)
        while True:
            found = super().receive(channels)
            if found[0] or time.monotonic() >= end:
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
        return list(envelopes) if super().deliver(envelopes) or len(self._counts) < 2 else []


class DropsWhatIsGivenBack(InMemoryChannelLayer):
    class Receiver(_MemoryReceiver):
        def give_back(self, deliveries):
            super().give_back(deliveries[1:])

    def receiver(self, channels):
        return self.Receiver(self, channels)


class GivesBackAsNew(InMemoryChannelLayer):
    class Receiver(_MemoryReceiver):
        def give_back(self, deliveries):
            for delivery in deliveries:
                self.layer.send(delivery.channel, delivery.content)

    def receiver(self, channels):
        return self.Receiver(self, channels)


class LosesSendsOfExchanges(InMemoryChannelLayer):
    class Receiver(_MemoryReceiver):
        def exchange(self, *, done, sends, limit, timeout):
            return super().exchange(done=done, sends=[], limit=limit, timeout=timeout)

    def receiver(self, channels):
        return self.Receiver(self, channels)


class TakesTooMuch(InMemoryChannelLayer):
    class Receiver(_MemoryReceiver):
        def exchange(self, *, done, sends, limit, timeout):
            return super().exchange(done=done, sends=sends, limit=limit + 1, timeout=timeout)

    def receiver(self, channels):
        return self.Receiver(self, channels)


class NamesWrongChannels(InMemoryChannelLayer):
    class Receiver(_MemoryReceiver):
        def exchange(self, **options):
            exchange = super().exchange(**options)
            first = self.channels[0]
            return exchange._replace(
                deliveries=[Delivery(first, d.content, d.token) for d in exchange.deliveries]
            )

    def receiver(self, channels):
        return self.Receiver(self, channels)


class FreesNoRoom(InMemoryChannelLayer):
    class Inbox(_MemoryInbox):
        def drained(self, local):
            pass

    def inbox(self, process, is_open=lambda local: True):
        return self.Inbox(self, process)


class KeepsClosedConnections(InMemoryChannelLayer):
    class Inbox(_MemoryInbox):
        def forget(self, local):
            pass

    def inbox(self, process, is_open=lambda local: True):
        return self.Inbox(self, process)


class LeavesMembersBehind(InMemoryChannelLayer):
    class Inbox(_MemoryInbox):
        async def close(self):
            pass

    def inbox(self, process, is_open=lambda local: True):
        return self.Inbox(self, process)


class ReadsInTheWrongOrder(InMemoryChannelLayer):
    class Inbox(_MemoryInbox):
        async def read(self):
            self.layer._channels.get(self.process, deque()).reverse()
            return await super().read()

    def inbox(self, process, is_open=lambda local: True):
        return self.Inbox(self, process)


class LosesCancelledReads(InMemoryChannelLayer):
    class Inbox(_MemoryInbox):
        async def read(self):
            name, content = await asyncio.to_thread(self.layer.receive, [self.process], True)
            return [Arrival((name.partition("!")[2],), content)] if name else []

    def inbox(self, process, is_open=lambda local: True):
        return self.Inbox(self, process)
