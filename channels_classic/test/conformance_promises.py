"""The checks of delays, of messages that are tried again, and of dead letters."""

# ruff: noqa: PT009, PT027 - unittest must do: pytest is not installed with the package

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from typing import Any, ClassVar

from channels_classic.layers.counters import Counter
from channels_classic.layers.ends import Receiver
from channels_classic.layers.traffic import Content, Delivery, Envelope, Reasons
from channels_classic.test.layer_case import LayerTestCase, by_name

REASONS = Reasons("ValueError: no", "Traceback: here", "host/1")


class PromiseChecks(LayerTestCase):
    """What a consumer needs to be run later, or again."""

    __test__: ClassVar[bool] = False

    # Delayed messages -----------------------------------------------------------------------

    def test_a_delayed_message_comes_when_it_is_due(self) -> None:
        """Not before; a beat of any worker of its channel brings it, whoever that is."""
        self.require_trait("later")
        name, receiver = self._delayed_channel()
        delay = 0.4
        self._delay(name, [delay])
        pulse = self.layer.beat("host/1", [name], ttl=60)
        if pulse.next_due is not None:
            self.assertLessEqual(pulse.next_due, delay)
        early = receiver.exchange(done=[], sends=[], limit=1, timeout=0)
        self.assertEqual(early.deliveries, [])
        self.assert_nothing([name])
        self.wait(delay)
        [delivery] = self._come(receiver, name, 1)
        self.assertEqual(delivery.content, {"number": 0})

    def _delayed_channel(self) -> tuple[str, Receiver]:
        name = self.fresh("later_test")
        return name, self.receiver(name)

    def _delay(self, name: str, delays: Sequence[float]) -> None:
        """A message for each delay, numbered."""
        prepare = self.layer.prepare
        sends = [prepare(name, {"number": n}, delay=delay) for n, delay in enumerate(delays)]
        self.assertEqual(self.layer.deliver(sends), [])

    def _come(self, receiver: Receiver, name: str, count: int) -> list[Delivery]:
        """The next messages that beats bring, each acknowledged."""
        taken: list[Delivery] = []

        def came() -> bool:
            self.layer.beat("host/2", [name], ttl=60)
            found = receiver.exchange(done=[], sends=[], limit=count, timeout=0).deliveries
            receiver.settle(found, [])
            taken.extend(found)
            return len(taken) >= count

        self.until(came, "a delayed message has not come")
        return taken

    def test_delayed_messages_come_in_the_order_of_their_times(self) -> None:
        """Not in that of their sends."""
        self.require_trait("later")
        name, receiver = self._delayed_channel()
        self._delay(name, [0.3, 0.1, 0.2])
        self.wait(0.3)
        taken = self._come(receiver, name, 3)
        numbers = [delivery.content["number"] for delivery in taken]
        self.assertEqual(self.arranged(name, numbers), self.arranged(name, [1, 2, 0]))

    def test_a_delayed_message_comes_once(self) -> None:
        """Several workers that beat at the same time never bring it twice."""
        self.require_trait("later")
        name, receiver = self._delayed_channel()
        count = min(20, self.layer.later_limit)
        self._delay(name, [0.05] * count)
        self.wait(0.05)
        over = threading.Event()

        def beat() -> None:
            while not over.is_set():
                self.layer.beat(f"host/{threading.get_ident()}", [name], ttl=60)

        def take() -> None:
            try:
                taken.extend(self._come(receiver, name, count))
            finally:
                over.set()

        taken: list[Delivery] = []
        self.together(take, beat, beat)
        numbers = sorted(delivery.content["number"] for delivery in taken)
        self.assertEqual(numbers, list(range(count)))
        self.assert_nothing([name])

    def test_a_worker_that_waits_gets_a_delayed_message(self) -> None:
        """Soon after it is due, with nothing but the beats of its process."""
        self.require_trait("later")
        name, receiver = self._delayed_channel()
        self.layer.deliver([self.layer.prepare(name, {"number": 1}, delay=0.1)])
        taken: list[Delivery] = []
        waiting = self.start(lambda: taken.append(self.take_delivery(receiver)))
        self.wait(0.1)

        def came() -> bool:
            self.layer.beat("host/1", [name], ttl=60)
            return bool(taken)

        self.until(came, "a delayed message does not wake the worker")
        waiting.finish(self.patience)
        self.assertEqual(taken[0].content, {"number": 1})

    def test_a_delayed_message_expires_from_when_it_is_due(self) -> None:
        """Its delay makes it no older."""
        self.require_trait("later")
        name, receiver = self._delayed_channel()
        lives = self.expiry_delay or 0
        self._delay(name, [lives * 0.6])
        self.wait(lives * 0.6)
        due = time.monotonic()
        self.layer.beat("host/1", [name], ttl=60)
        self.wait(lives * 0.5)
        found = receiver.exchange(done=[], sends=[], limit=1, timeout=0).deliveries
        if time.monotonic() - due < lives * 0.9:  # else we came too late
            self.assertEqual([each.content for each in found], [{"number": 0}])

    def test_a_delayed_reply_comes_when_it_is_due(self) -> None:
        """The beats of its own server bring it."""
        self.require_trait("later")
        name = self.fresh("later_test!") + "a"

        async def check() -> None:
            inbox = self.layer.inbox(name[:-1])
            sent = time.monotonic()
            self._delay(name, [1])
            await inbox.beat(ttl=60)
            self.layer.send(name, {"number": 1})
            taken = await self.read(inbox, 1)
            if time.monotonic() - sent < 1:  # else it may be due already
                self.assertEqual(by_name(taken), {name: [1]})
            self.wait(1)
            reading = asyncio.ensure_future(self.read(inbox, 2 - len(taken)))
            while not reading.done():  # it has a deadline
                await inbox.beat(ttl=60)
                await asyncio.wait([reading], timeout=0.05)
            self.assertEqual(sorted(by_name([*taken, *reading.result()])[name]), [0, 1])
            await inbox.close()

        self.run_async(check())

    def test_delays_that_cannot_be_had_are_refused(self) -> None:
        """When the message is prepared, so that nothing goes out."""
        bad: list[tuple[str, Any, bool]] = [("plain", -1, False), ("plain", "1", False)]
        bad += [("plain", True, False), ("body?a", 1, False), ("group", 1, True)]
        bad += [] if self.layer.later else [("plain", 1, False)]
        for name, delay, to_group in bad:
            with self.subTest(name=name, delay=delay), self.assertRaises(ValueError):
                self.layer.prepare(name, {}, delay=delay, to_group=to_group)

    def test_delayed_messages_are_limited(self) -> None:
        """Those over the limit of the layer are refused, and that is counted."""
        self.require_trait("later")
        limit = self.layer.later_limit
        if limit > 1000:
            self.skipTest("later_limit is over 1000")
        name = self.fresh("later_test")
        sends = [self.layer.prepare(name, {"n": n}, delay=60) for n in range(limit + 2)]
        self.assertEqual(self.layer.deliver(sends), sends[limit:])
        self.layer.send(name, {"n": "now"})
        if "statistics" in self.layer.extensions:
            self.until_counted(name, Counter.FULL, 2)

    # B2: messages that are tried again --------------------------------------------------------

    def test_attempts_are_carried(self) -> None:
        """A delivery says how often its consumer was run before, and how often that was fatal."""
        self.require_trait("later")
        name = self.fresh("again_test")
        envelope = self.layer.prepare(name, {"number": 1}, attempts=2)
        self.layer.deliver([envelope._replace(crashes=1)])
        receiver = self.receiver(name)
        delivery = self.take_delivery(receiver)
        self.assertEqual((delivery.attempts, delivery.crashes), (2, 1))
        receiver.give_back([delivery])
        again = self.take_delivery(receiver)
        self.assertEqual((again.attempts, again.crashes), (2, 1))
        self.assertEqual(again.content, {"number": 1})

    def test_a_message_is_tried_again_unchanged(self) -> None:
        """Whatever its consumer did to the content; at once, and after a delay."""
        self.require_trait("later")
        name = self.fresh("again_test")
        content = {"text": "ü", "bytes": b"\xff", "list": [1, {"deep": None}]}
        self.layer.send(name, content)
        receiver = self.receiver(name)
        for attempts, delay in ((1, 0), (2, 0.1)):
            delivery = self.take_delivery(receiver)
            delivery.content.clear()
            again = Envelope(name, delivery.payload, delay=delay, attempts=attempts)
            self.assertEqual(receiver.settle([delivery], [again]), [])
        self.wait(0.1)
        [last] = self._come(receiver, name, 1)
        self.assertEqual((last.content, last.attempts), (content, 2))
        self.assert_nothing([name])

    # Dead letters -----------------------------------------------------------------------------

    def test_a_dead_letter_says_what_and_why(self) -> None:
        """It is off its channel, and kept with the content, the reasons and all its attempts."""
        self.require_trait("later")
        name = self.fresh("dead_test")
        self._bury(name, {"number": 1}, attempts=4)
        self.assert_nothing([name])
        [letter] = self.layer.dead_letters(name)
        self.assertEqual((letter.channel, letter.content), (name, {"number": 1}))
        self.assertEqual((letter.error, letter.traceback, letter.worker), REASONS)
        self.assertEqual(letter.attempts, 5)  # those before, and the last one
        self.assertGreater(letter.died, 1_700_000_000)
        if "statistics" in self.layer.extensions:
            self.until_counted(name, Counter.DEAD, 1)

    def _bury(self, name: str, content: Content, *, attempts: int = 0) -> None:
        self.layer.deliver([self.layer.prepare(name, content, attempts=attempts)])
        self.layer.bury(self.take_delivery(self.receiver(name)), REASONS)

    def test_dead_letters_of_one_channel_and_of_all(self) -> None:
        """The oldest comes first."""
        self.require_trait("later")
        one, two = self.fresh("dead_one"), self.fresh("dead_two")
        for number, name in enumerate((one, two, one)):
            self._bury(name, {"number": number})
        self.assertEqual(self._dead(one), [0, 2])
        self.assertEqual(self._dead(two), [1])
        found = [letter for letter in self.layer.dead_letters() if letter.channel in (one, two)]
        self.assertEqual([(each.content or {})["number"] for each in found], [0, 1, 2])

    def _dead(self, name: str) -> list[int]:
        return [(each.content or {})["number"] for each in self.layer.dead_letters(name)]

    def test_dead_letters_are_requeued(self) -> None:
        """They come once, as if never tried, and are no dead letters any more."""
        self.require_trait("later")
        name, count = self.fresh("dead_test"), min(2, self.capacity_limit or 2)
        for number in range(count):
            self._bury(name, {"number": number}, attempts=3)
        letters = list(self.layer.dead_letters(name))
        self.assertEqual(self.layer.requeue_dead(letters), count)
        self.assertEqual(self._dead(name), [])
        self.assertEqual(self.layer.requeue_dead(letters), 0)
        taken = self.exchange_all(self.receiver(name), count)
        numbers = [delivery.content["number"] for delivery in taken]
        self.assertEqual(self.arranged(name, numbers), list(range(count)))
        self.assertEqual({(each.attempts, each.crashes) for each in taken}, {(0, 0)})
        self.assert_nothing([name])

    def test_dead_letters_wait_for_a_full_channel(self) -> None:
        """What finds no room stays a dead letter."""
        self.require_trait("later")
        limit = self.limit()
        name = self.fresh("dead_test")
        for number in range(3):
            self._bury(name, {"number": number})
        for _ in range(limit - 1):
            self.layer.send(name, {"number": -1})
        with self.assertRaises(self.layer.ChannelFull):
            self.layer.requeue_dead(list(self.layer.dead_letters(name)))
        self.assertEqual(self._dead(name), [1, 2])
        self.take([name], limit)
        self.assert_nothing([name])

    def test_dead_letters_are_deleted(self) -> None:
        """Those that were named; it says how many there were."""
        self.require_trait("later")
        name = self.fresh("dead_test")
        for number in range(3):
            self._bury(name, {"number": number})
        first, second, _ = self.layer.dead_letters(name)
        self.assertEqual(self.layer.delete_dead([first, second]), 2)
        self.assertEqual(self._dead(name), [2])
        self.assertEqual(self.layer.delete_dead([first]), 0)
        self.assert_nothing([name])

    def test_dead_letters_are_limited(self) -> None:
        """The oldest make room, which is counted."""
        self.require_trait("later")
        limit = self.layer.dead_limit
        if limit > 100:
            self.skipTest("dead_limit is over 100")
        name = self.fresh("dead_test")
        before = len(list(self.layer.dead_letters()))
        for number in range(limit + 2):
            self._bury(name, {"number": number})
        if before == 0:
            self.assertEqual(self._dead(name), list(range(2, limit + 2)))
        self.assertEqual(len(list(self.layer.dead_letters())), limit)
