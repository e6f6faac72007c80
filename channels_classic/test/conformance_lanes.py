"""The checks of lanes: a connection hears when its message has been dealt with, or is lost."""

# ruff: noqa: PT009 - unittest must do: pytest is not installed with the package

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, ClassVar

from channels_classic.layers.counters import Counter
from channels_classic.layers.ends import Receiver
from channels_classic.layers.traffic import Content, Delivery, Envelope, Reasons, lane_of
from channels_classic.test.layer_case import LayerTestCase

#: A way to acknowledge a delivery, with sends.
Way = Callable[[Receiver, Delivery, list[Envelope]], Awaitable[object]]


class LaneChecks(LayerTestCase):
    """What a server needs to send the messages of a connection one after another."""

    __test__: ClassVar[bool] = False

    # B3: lanes ----------------------------------------------------------------------------

    def test_a_lane_gets_its_receipt_with_an_exchange(self) -> None:
        """When the message is acknowledged, not before; no later than what was sent with it."""

        async def way(receiver: Receiver, done: Delivery, sends: list[Envelope]) -> None:
            receiver.exchange(done=[done], sends=sends, limit=1, timeout=0)

        self._gets_its_receipt(way)

    def test_a_lane_gets_its_receipt_when_settled(self) -> None:
        """The same for everything that acknowledges a message without taking another."""

        async def by_receiver(receiver: Receiver, done: Delivery, sends: list[Envelope]) -> None:
            receiver.settle([done], sends)

        async def by_layer(_: Receiver, done: Delivery, sends: list[Envelope]) -> None:
            self.layer.settle([done], sends)

        async def async_(receiver: Receiver, done: Delivery, sends: list[Envelope]) -> None:
            await receiver.settle_async(done, sends)

        for way in (by_receiver, by_layer, async_):
            with self.subTest(way=way.__name__):
                self._gets_its_receipt(way)

    def _gets_its_receipt(self, way: Way) -> None:
        self.require_trait("receipts")

        async def check() -> None:
            ear = self.ear()
            delivery = self._with_lane(ear.lane(7))
            self.assertEqual(delivery.lane, ear.lane(7))
            self.assertEqual(await ear.heard_until_now(), [])
            reply = self.layer.prepare(ear.reply_channel, {"number": 1})
            await way(self.receiver(delivery.channel), delivery, [reply])
            self.assertEqual(await ear.hear(1), [("a", 7, False)])
            self.assertEqual(ear.contents, [{"number": 1}], "the receipt came before the reply")
            await ear.close()

        self.run_async(check())

    def _with_lane(self, lane: str) -> Delivery:
        """A message with ``lane`` that a worker has taken."""
        name = self.fresh("lane_test")
        self.layer.deliver([self.layer.prepare(name, {}, lane=lane)])
        return self.take_delivery(self.receiver(name))

    def test_each_lane_gets_its_receipt(self) -> None:
        """Those of a batch, in order; a message without a lane gets none."""
        self.require_trait("receipts")
        name, count = self.fresh("lane_test"), min(4, self.capacity_limit or 4)

        async def check() -> None:
            ear, receiver = self.ear(), self.receiver(name)
            lanes = ["", *(ear.lane(number, local=f"c{number}") for number in range(1, count))]
            self.layer.deliver([self.layer.prepare(name, {}, lane=lane) for lane in lanes])
            taken = [self.take_delivery(receiver) for _ in lanes]
            if not self.in_order:
                taken.sort(key=lambda delivery: delivery.lane)
            self.assertEqual([delivery.lane for delivery in taken], lanes)
            receiver.exchange(done=taken, sends=[], limit=1, timeout=0)
            expected = [(f"c{number}", number, False) for number in range(1, count)]
            self.assertEqual(await ear.hear(count - 1), expected)
            await ear.close()

        self.run_async(check())

    def test_a_lane_that_leads_nowhere(self) -> None:
        """It is no error, and the others get their receipts."""
        self.require_trait("receipts")
        lanes = ["no lane", "gone!a", "gone!a x", lane_of("no.connection", 1)]
        lanes += [lane_of(self.fresh("gone!") + "a", 1)]

        async def check() -> None:
            ear = self.ear()
            for lane in lanes:
                delivery = self._with_lane(lane)
                self.layer.settle([delivery], [])
            self.layer.settle([self._with_lane(ear.lane(1))], [])
            self.assertEqual(await ear.hear(1), [("a", 1, False)])
            await ear.close()

        self.run_async(check())

    def test_a_message_that_is_given_back_keeps_its_lane(self) -> None:
        """It is not dealt with yet."""
        self.require_trait("receipts")

        async def check() -> None:
            ear = self.ear()
            delivery = self._with_lane(ear.lane(3))
            receiver = self.receiver(delivery.channel)
            receiver.give_back([delivery])
            again = self.take_delivery(receiver)
            self.assertEqual(again.lane, ear.lane(3))
            self.assertEqual(await ear.heard_until_now(), [])
            receiver.settle([again], [])
            self.assertEqual(await ear.hear(1), [("a", 3, False)])
            await ear.close()

        self.run_async(check())

    def test_a_lane_waits_while_its_message_is_tried_again(self) -> None:
        """Acknowledged without its lane and sent again with it, the message is not done."""
        self.require_trait("receipts")
        self.require_trait("later")

        async def check() -> None:
            ear = self.ear()
            first = self._with_lane(ear.lane(4))
            receiver = self.receiver(first.channel)
            again = Envelope(first.channel, first.payload, lane=first.lane, attempts=1)
            self.assertEqual(receiver.settle([first._replace(lane="")], [again]), [])
            second = self.take_delivery(receiver)
            self.assertEqual((second.lane, second.attempts), (ear.lane(4), 1))
            self.assertEqual(await ear.heard_until_now(), [])
            receiver.settle([second], [])
            self.assertEqual(await ear.hear(1), [("a", 4, False)])
            await ear.close()

        self.run_async(check())

    def test_a_lane_hears_that_its_message_is_lost(self) -> None:
        """By a worker that died, as whoever finds that out says."""
        self._hears_of_loss(lambda lane: self.layer.lose([self._with_lane(lane)], Counter.LOST))

    def test_a_lane_hears_that_its_message_has_expired(self) -> None:
        """No later than when a worker would have got it."""

        def expire(lane: str) -> None:
            name = self.fresh("lane_test")
            self.layer.deliver([self.layer.prepare(name, {}, lane=lane)])
            self.wait(self.expiry_delay or 0)
            found = self.receiver(name).exchange(done=[], sends=[], limit=1, timeout=0)
            self.assertEqual(found.deliveries, [])

        self._hears_of_loss(expire)

    def test_a_lane_hears_that_its_message_was_dropped(self) -> None:
        """For a newer one, on a channel that drops its oldest."""
        limit = self.limit()
        name = self.named("dropping")

        def drop(lane: str) -> None:
            self.layer.deliver([self.layer.prepare(name, {}, lane=lane)])
            for _ in range(limit):
                self.layer.send(name, {})

        self._hears_of_loss(drop)

    def test_a_lane_hears_that_its_message_cannot_be_read(self) -> None:
        """Its payload was damaged, or encrypted with an unknown key."""

        def damage(lane: str) -> None:
            name = self.fresh("lane_test")
            envelope = self.layer.prepare(name, {}, lane=lane)
            if not isinstance(envelope.payload, bytes):
                self.skipTest("the payload is not encoded")
            self.layer.deliver([envelope._replace(payload=b"no message")])
            self.layer.send(name, {"number": 1})
            receiver = self.receiver(name)
            self.assertEqual(self.take_delivery(receiver).content, {"number": 1})
            found = receiver.exchange(done=[], sends=[], limit=1, timeout=0)
            self.assertEqual(found.deliveries, [])

        self._hears_of_loss(damage)

    def _hears_of_loss(self, lose: Callable[[str], None]) -> None:
        self.require_trait("receipts")

        async def check() -> None:
            ear = self.ear()
            lose(ear.lane(9))
            self.assertEqual(await ear.hear(1), [("a", 9, True)])
            await ear.close()

        self.run_async(check())

    def test_a_lane_goes_on_after_a_dead_letter(self) -> None:
        """Its message has been dealt with, and is not lost."""
        self.require_trait("receipts")
        self.require_trait("later")

        async def check() -> None:
            ear = self.ear()
            self.layer.bury(self._with_lane(ear.lane(5)), Reasons("ValueError: no"))
            self.assertEqual(await ear.hear(1), [("a", 5, False)])
            await ear.close()

        self.run_async(check())

    # What these checks are made of ----------------------------------------------------------

    def ear(self) -> _Ear:
        """A server process with a connection "a" that listens for receipts."""
        return _Ear(self, self.fresh("lane!"))


class _Ear:
    """An inbox and what it has heard and read."""

    def __init__(self, case: LayerTestCase, process: str) -> None:
        self._case = case
        self.reply_channel = process + "a"
        self.contents: list[Content] = []
        self._heard: list[tuple[str, int, bool]] = []
        self._inbox = case.layer.inbox(
            process, on_receipt=lambda *receipt: self._heard.append(receipt)
        )

    def lane(self, number: int, *, local: str = "a") -> str:
        return lane_of(self._inbox.process + local, number)

    async def hear(self, count: int) -> list[tuple[str, int, bool]]:
        """The receipts so far, and what else came, once there are ``count`` of them."""
        await self._read(lambda: len(self._heard) >= count, "a receipt has not come")
        return self._heard

    async def heard_until_now(self) -> list[tuple[str, int, bool]]:
        """The receipts that come before what is sent now."""
        marker = {"marker": True}
        self._case.layer.send(self.reply_channel, marker)
        await self._read(lambda: marker in self.contents, "a message has not come")
        self.contents.remove(marker)
        return self._heard

    async def _read(self, is_over: Callable[[], bool], text: str) -> None:
        try:
            async with asyncio.timeout(self._case.patience):
                while not is_over():
                    for arrival in await self._inbox.read():
                        self.contents.append(arrival.content)
                        self._inbox.drained(arrival.locals[0])
        except TimeoutError:
            self._case.fail(text)

    def close(self) -> Coroutine[Any, Any, None]:
        return self._inbox.close()
