"""The checks of the two ends of the bus: what workers take and what interface servers read with."""

# ruff: noqa: PT009, PT027 - unittest must do: pytest is not installed with the package

from __future__ import annotations

import asyncio
import time
from typing import ClassVar

from channels_classic.layers.traffic import Delivery
from channels_classic.test.layer_case import LayerTestCase, by_name


class EndsChecks(LayerTestCase):
    """``receiver()``, ``inbox()`` and the async verbs."""

    __test__: ClassVar[bool] = False

    # A worker's end ---------------------------------------------------------------------

    def test_an_exchange_brings_messages(self) -> None:
        """Up to ``limit`` from each channel, in order; what was taken, no other worker gets."""
        one, two = self.fresh("ex_one"), self.fresh("ex_two")
        first, second = self.receiver(one, two), self.receiver(one, two)
        count = min(4, self.capacity_limit or 4)
        for number in range(count):
            for name in (one, two):
                self.layer.send(name, {"number": number})
        found = first.exchange(done=[], sends=[], limit=2, timeout=1).deliveries
        for name in (one, two):
            self.assertLessEqual(len([d for d in found if d.channel == name]), 2)
        rest = self.exchange_all(second, 2 * count - len(found))
        first.settle(found, [])
        got = by_name([(d.channel, d.content) for d in [*found, *rest]])
        for name in (one, two):
            self.assertEqual(self.arranged(name, got[name]), list(range(count)))
        self.assert_nothing([one, two])

    def test_an_exchange_carries_sends(self) -> None:
        """The sends of a consumer go out with it; those that find their channel full come back."""
        limit = self.limit()
        name, process = self.fresh("ex_to"), self.fresh("ex_to!")
        receiver = self.receiver(self.fresh("ex_from"))
        prepare = self.layer.prepare
        for target, source in ((name, name), (process + "a", process)):
            sends = [prepare(target, {"number": number}) for number in range(limit + 2)]
            exchange = receiver.exchange(done=[], sends=sends, limit=1, timeout=0)
            self.assertEqual((exchange.deliveries, exchange.refused), ([], sends[limit:]))
            self.assertEqual(receiver.settle([], sends[limit:]), sends[limit:])
            [(name, numbers)] = by_name(self.take([source], limit)).items()
            self.assertEqual((name, self.arranged(name, numbers)), (target, list(range(limit))))

    def test_an_exchange_carries_sends_to_groups(self) -> None:
        """Sends to groups and to channels keep their order towards a connection."""
        self.require("groups")
        group, process = self.fresh("ex_group"), self.fresh("ex_group!")
        member, plain = process + "a", self.fresh("ex_group")
        self.layer.group_add(group, member)
        self.layer.group_add(group, plain)
        sends = [
            self.layer.prepare(member, {"number": 1}),
            self.layer.prepare(group, {"number": 2}, to_group=True),
            self.layer.prepare(member, {"number": 3}),
            self.layer.prepare(group, {"number": 4}, to_group=True),
        ]
        receiver = self.receiver(self.fresh("ex_from"))
        self.assertEqual(receiver.exchange(done=[], sends=sends, limit=1, timeout=0).refused, [])
        self.assertEqual(by_name(self.take([process], 4)), {member: [1, 2, 3, 4]})
        taken = [content["number"] for _, content in self.take([plain], 2)]
        self.assertEqual(self.arranged(plain, taken), [2, 4])

    def test_an_exchange_waits_for_a_message(self) -> None:
        """It ends as soon as there is one, and spends no time on the processor meanwhile."""
        name = self.fresh("ex_wait")
        receiver = self.receiver(name)
        busy: list[float] = []

        def wait() -> None:
            began = time.thread_time()
            self.exchange_all(receiver, 1)
            busy.append(time.thread_time() - began)

        thread = self.start(wait)
        thread.join(0.3)
        self.layer.send(name, {})
        thread.finish(self.patience)
        self.assertLess(busy[0], 0.1, "the waiting thread was busy")

    def test_an_exchange_shares_messages(self) -> None:
        """Of several workers each message reaches one, once."""
        name = self.fresh("ex_share")
        count = 200
        taken: list[int] = []

        def work() -> None:
            receiver = self.layer.receiver([name])
            done: list[Delivery] = []
            more = True
            while more:
                done = receiver.exchange(done=done, sends=[], limit=4, timeout=0.1).deliveries
                taken.extend(d.content["number"] for d in done if d.content["number"] >= 0)
                more = len(taken) < count and time.monotonic() < end
            receiver.settle(done, [])
            receiver.close()

        def write() -> None:
            for number in range(count):
                self.send_in_time(name, {"number": number})

        end = time.monotonic() + self.patience * 2
        self.together(write, *[work] * 4)
        self.assertEqual(sorted(taken), list(range(count)))
        self.assert_nothing([name])

    def test_messages_that_are_given_back(self) -> None:
        """Others get what a worker took and did not start, once, in the same order."""
        name = self.fresh("give_test")
        count = min(3, self.capacity_limit or 3)
        first, second = self.receiver(name), self.receiver(name)
        for number in range(count):
            self.layer.send(name, {"number": number})
        found = first.exchange(done=[], sends=[], limit=count, timeout=1).deliveries
        started, rest = found[:1], found[1:]
        first.give_back(rest)
        first.settle(started, [])
        others = self.exchange_all(second, count - 1)
        numbers = [delivery.content["number"] for delivery in [*started, *others]]
        self.assertEqual(self.arranged(name, numbers), list(range(count)))
        first.give_back([])
        self.assert_nothing([name])

    def test_messages_that_are_given_back_to_a_full_channel(self) -> None:
        """They were accepted once: no capacity is asked again."""
        self.require_own("receiver")
        limit = self.limit()
        name = self.fresh("give_full")
        receiver = self.receiver(name)
        for number in range(limit):
            self.layer.send(name, {"number": number})
        found = receiver.exchange(done=[], sends=[], limit=limit, timeout=1).deliveries
        for number in range(limit):
            self.layer.send(name, {"number": limit + number})
        receiver.give_back(found)
        self.assert_full(name)
        taken = self.take([name], 2 * limit)
        self.assertEqual(sorted(c["number"] for _, c in taken), list(range(2 * limit)))

    def test_messages_that_are_given_back_keep_their_expiry(self) -> None:
        """To be taken and given back, even twice, makes no message younger."""
        self.require_own("receiver")
        name = self.fresh("give_age")
        receiver = self.receiver(name)
        self.layer.send(name, {"number": 1})
        self.layer.send(name, {"number": 2})
        for _ in range(2):
            self.wait((self.expiry_delay or 0) * 0.4)
            receiver.give_back(receiver.exchange(done=[], sends=[], limit=2, timeout=1).deliveries)
        self.wait((self.expiry_delay or 0) * 0.4)
        self.assertEqual(receiver.exchange(done=[], sends=[], limit=1, timeout=0).deliveries, [])
        self.assert_nothing([name])

    # An interface server's end ------------------------------------------------------------

    def test_an_inbox_reads_in_order(self) -> None:
        """What is sent to a connection comes with its local part, in order."""
        process = self.fresh("inbox_test!")
        count = min(4, self.capacity_limit or 4)

        async def check() -> None:
            inbox = self.layer.inbox(process)
            for number in range(count):
                for local in ("a", "b"):
                    self.layer.send(process + local, {"number": number})
            taken = by_name(await self.read(inbox, 2 * count))
            everything = list(range(count))
            self.assertEqual(taken, {process + "a": everything, process + "b": everything})
            await inbox.close()

        self.run_async(check())

    def test_an_inbox_keeps_joins_and_messages_in_order(self) -> None:
        """A member gets what was sent between its join and its leave, read when it may be."""
        self.require("groups")
        group, process = self.fresh("inbox_group"), self.fresh("inbox_group!")
        a, b = process + "a", process + "b"

        async def check() -> None:
            inbox = self.layer.inbox(process)
            add, discard, send = (
                self.layer.group_add,
                self.layer.group_discard,
                self.layer.send_group,
            )
            add(group, a), send(group, {"number": 1})
            add(group, b), send(group, {"number": 2})
            discard(group, a), send(group, {"number": 3})
            self.layer.send(a, {"number": 4})
            taken = by_name(await self.read(inbox, 5))
            self.assertEqual(taken, {a: [1, 2, 4], b: [2, 3]})
            await inbox.close()

        self.run_async(check())

    def test_an_inbox_frees_room_when_told_so(self) -> None:
        """A connection whose client has taken its messages has room for more."""
        limit = self.limit()
        name = self.fresh("inbox_full!") + "a"
        process = name[:-1]

        async def check() -> None:
            inbox = self.layer.inbox(process)
            for round_ in range(2):
                for number in range(limit):
                    await self._send_soon(name, {"number": round_ * limit + number})
                self.assert_full(name)
                await self.read(inbox, limit)
            await inbox.close()

        self.run_async(check())

    async def _send_soon(self, name: str, content: dict[str, int]) -> None:
        """What is drained is reported soon, not at once."""
        end = time.monotonic() + self.patience
        while True:
            try:
                return self.layer.send(name, content)
            except self.layer.ChannelFull:
                if time.monotonic() > end:
                    raise
                await asyncio.sleep(0.005)

    def test_an_inbox_forgets_connections(self) -> None:
        """A closed connection leaves its groups, and no room stays taken for it."""
        self.require("groups")
        self.require_own("inbox")
        group, process = self.fresh("forget"), self.fresh("forget!")
        gone, stays = process + "gone", process + "stays"

        async def check() -> None:
            inbox = self.layer.inbox(process)
            for name in (gone, stays):
                self.layer.group_add(group, name)
            self.layer.send_group(group, {"number": 1})
            for number in range(self.capacity_limit or 1):
                self.layer.send(gone, {"number": number})
            await self.read(inbox, 2 + (self.capacity_limit or 1))
            inbox.forget("gone")
            end = time.monotonic() + self.patience
            while list(self.layer.group_channels(group)) != [stays]:
                self.assertLess(time.monotonic(), end, "the membership goes on")
                await asyncio.sleep(0.005)
            self.layer.send_group(group, {"number": 2})
            self.assertEqual(by_name(await self.read(inbox, 1)), {stays: [2]})
            for _ in range(self.capacity_limit or 1):
                self.layer.send(gone, {})
            await inbox.close()

        self.run_async(check())

    def test_an_inbox_that_is_closed_leaves_nothing(self) -> None:
        """A server that stops takes its connections out of every group."""
        self.require("groups")
        self.require_own("inbox")
        groups = [self.fresh("close_one"), self.fresh("close_two")]
        process, other = self.fresh("close!"), self.fresh("other!") + "a"

        async def check() -> None:
            inbox = self.layer.inbox(process)
            for group in groups:
                self.layer.group_add(group, process + "a")
                self.layer.group_add(group, other)
                self.layer.send_group(group, {"number": 1})
            await self.read(inbox, 2)
            await inbox.close()
            for group in groups:
                self.assertEqual(list(self.layer.group_channels(group)), [other])
                self.layer.send_group(group, {"number": 2})
            self.assert_nothing([process])

        self.run_async(check())

    def test_an_inbox_waits_for_messages(self) -> None:
        """A read ends as soon as something comes; to cancel it loses nothing."""
        name = self.fresh("inbox_wait!") + "a"

        async def check() -> None:
            inbox = self.layer.inbox(name[:-1])
            for number, pause in enumerate((0, 0.001, 0.01, 0.1)):
                reading = asyncio.ensure_future(inbox.read())
                await asyncio.sleep(pause)
                reading.cancel()
                await asyncio.wait([reading])
                self.layer.send(name, {"number": number})
                self.assertEqual(by_name(await self.read(inbox, 1)), {name: [number]})
            began = time.thread_time()
            waiting = asyncio.ensure_future(self.read(inbox, 1))
            await asyncio.wait([waiting], timeout=0.3)
            self.layer.send(name, {"number": 4})
            self.assertEqual(by_name(await waiting), {name: [4]})
            self.assertLess(time.thread_time() - began, 0.15, "the waiting loop was busy")
            await inbox.close()

        self.run_async(check())

    # The async verbs ----------------------------------------------------------------------

    def test_async_verbs(self) -> None:
        """Sends and receives of an event loop meet those of threads."""
        self.require("async")
        plain, process = self.fresh("async_test"), self.fresh("async_test!")

        async def check() -> None:
            layer = self.layer
            await layer.send_async(plain, {"number": 1})
            self.assertEqual(await layer.receive_async([plain]), (plain, {"number": 1}))
            layer.send(process + "a", {"number": 2})
            found = await layer.receive_async([plain, process])
            self.assertEqual(found, (process + "a", {"number": 2}))
            await layer.send_async(plain, {"number": 3})
            with self.assertRaises(TypeError):
                await layer.send_async("not fine", {})

        self.run_async(check())
        self.assertEqual(self.receive([plain]), (plain, {"number": 3}))

    def test_async_sends_are_refused_by_full_channels(self) -> None:
        """Each of many tasks hears about its own send."""
        self.require("async")
        limit = self.limit()
        full, free = self.fresh("async_full"), self.fresh("async_free")

        async def check() -> None:
            names = [full] * (limit + 3) + [free]
            sends = [self.layer.send_async(name, {"n": n}) for n, name in enumerate(names)]
            outcomes = await asyncio.gather(*sends, return_exceptions=True)
            self.assertEqual({type(each) for each in outcomes} - {type(None)}, {full_error})
            accepted.extend(n for n, each in enumerate(outcomes) if each is None)

        accepted: list[int] = []
        full_error = self.layer.ChannelFull
        self.run_async(check())
        taken = [*self.take([full], limit), *self.take([free], 1)]
        self.assertEqual(sorted(content["n"] for _, content in taken), accepted)
        self.assert_nothing([full, free])

    def test_async_receives_that_are_cancelled(self) -> None:
        """The next caller gets what is for it, and the message that comes later is not lost."""
        self.require("async")
        first, second = self.fresh("cancel_one"), self.fresh("cancel_two")

        async def check() -> None:
            layer = self.layer
            for pause in (0, 0.001, 0.003, 0.01, 0.1):
                given_up = asyncio.ensure_future(layer.receive_async([first]))
                await asyncio.sleep(pause)
                given_up.cancel()
                await asyncio.wait([given_up])
                await layer.send_async(second, {"number": 2})
                self.assertEqual(await layer.receive_async([second]), (second, {"number": 2}))
                await layer.send_async(first, {"number": 1})
                self.assertEqual(await layer.receive_async([first]), (first, {"number": 1}))

        self.run_async(check())
        self.assert_nothing([first, second])

    def test_async_receives_side_by_side(self) -> None:
        """Many tasks wait at once, each for its own channel."""
        self.require("async")
        names = [self.fresh("side_test") for _ in range(10)]

        async def check() -> None:
            waiting = [asyncio.ensure_future(self.layer.receive_async([name])) for name in names]
            await asyncio.sleep(0)
            for name in reversed(names):
                await self.layer.send_async(name, {"for": name})
            found = await asyncio.gather(*waiting)
            self.assertEqual(found, [(name, {"for": name}) for name in names])

        self.run_async(check())
