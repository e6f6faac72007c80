"""The checks of what is not delivered: refused, expired, dropped, lost, or no message at all."""

# ruff: noqa: PT009 - unittest must do: pytest is not installed with the package

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ClassVar

from channels_classic.layers.counters import Counter
from channels_classic.test.layer_case import LayerTestCase


class LossChecks(LayerTestCase):
    """Nothing is lost silently, and nothing stops because of what cannot be read."""

    __test__: ClassVar[bool] = False

    # B8: whatever is not delivered is counted -----------------------------------------------

    def test_what_is_refused_is_counted(self) -> None:
        """For the channel, or for the process of a connection, and over all."""
        self.require("statistics")
        limit = self.limit()
        before = self.layer.global_statistics().get("channel_full_count", 0)
        for name, source in self.plain_and_process("b8_test"):
            for _ in range(limit):
                self.layer.send(name, {})
            for _ in range(3):
                self.assert_full(name)
            self.layer.deliver([self.layer.prepare(name, {})] * 2)
            counted = self.layer.channel_statistics(source)
            self.assertEqual(counted["channel_full_count"], 5)
            self.assertEqual(counted.get("messages_count", limit), limit)
            self.assertEqual(counted.get("messages_pending", limit), limit)
        after = self.layer.global_statistics()["channel_full_count"]
        self.assertEqual(after - before, 10)

    def test_what_a_full_member_of_a_group_misses_is_counted(self) -> None:
        """It is no error for the sender, so the counter is all there is."""
        self.require("statistics")
        self.require("groups")
        limit = self.limit()
        group, name = self.fresh("b8_group"), self.fresh("b8_member")
        self.layer.group_add(group, name)
        for _ in range(limit + 4):
            self.layer.send_group(group, {})
        self.assertEqual(self.layer.channel_statistics(name)["channel_full_count"], 4)

    def test_what_expires_is_counted(self) -> None:
        """When it would have been received; on a channel, and for a connection."""
        self.require("statistics")
        for name, source in self.plain_and_process("b8_test"):
            for _ in range(min(2, self.capacity_limit or 2)):
                self.layer.send(name, {})
            self.wait(self.expiry_delay or 0)
            self.assert_nothing([source])
            self.until_counted(source, Counter.EXPIRED, min(2, self.capacity_limit or 2))

    def test_what_is_dropped_for_newer_messages_is_counted(self) -> None:
        """A channel with that policy refuses nothing, and keeps the newest."""
        limit, name = self.limit(), self.named("dropping")
        with self.assertLogs("channels_classic.layers", "WARNING") as logs:
            for number in range(limit + 3):
                self.layer.send(name, {"number": number})
        self.assertEqual(len([line for line in logs.output if name in line]), 1, logs.output)
        if "statistics" in self.layer.extensions:
            self.until_counted(name, Counter.DROPPED, 3)
            self.until_counted(name, Counter.SENT, limit + 3)
        taken = [content["number"] for _, content in self.take([name], limit)]
        self.assertEqual(self.arranged(name, taken), list(range(3, limit + 3)))
        self.assert_nothing([name])

    def test_what_was_lost_is_counted(self) -> None:
        """By the reason that is given."""
        self.require("statistics")
        self.require_own("lose")
        name = self.fresh("b8_test")
        receiver = self.receiver(name)
        for counter in (Counter.LOST, Counter.IN_DOUBT):
            self.layer.send(name, {})
            self.layer.lose([self.take_delivery(receiver)], counter)
            self.until_counted(name, counter, 1)
        self.assert_nothing([name])

    def test_what_workers_and_servers_count_is_kept(self) -> None:
        """With the counters of the layer itself; the totals are those of all channels."""
        self.require("statistics")
        self.require_own("count")
        one, two, process = self.fresh("b8_one"), self.fresh("b8_two"), self.fresh("b8!")
        before = self.layer.global_statistics().get(Counter.FAILED, 0)

        async def check() -> None:
            inbox = self.layer.inbox(process)
            inbox.count(one, Counter.FAILED)
            inbox.count(process, Counter.OVERFLOW, 3)
            await asyncio.to_thread(self.until_counted, one, Counter.FAILED, 1)
            await asyncio.to_thread(self.until_counted, process, Counter.OVERFLOW, 3)
            await inbox.close()

        self.run_async(check())
        self.layer.count(two, Counter.FAILED, 4)
        self.until_counted(two, Counter.FAILED, 4)
        self.until(
            lambda: self.layer.global_statistics().get(Counter.FAILED, 0) == before + 5,
            "the totals are not the sums of the channels",
        )

    def test_messages_that_never_expire(self) -> None:
        """On a channel whose expiry is None."""
        name = self.named("forever")
        self.assertIsNone(self.layer.get_expiry(name))
        self.layer.send(name, {"number": 1})
        self.wait(self.expiry_delay or 0)
        self.layer.send(name, {"number": 2})
        taken = [content["number"] for _, content in self.take([name], 2)]
        self.assertEqual(self.arranged(name, taken), [1, 2])

    # B12: entries that are no messages ----------------------------------------------------

    def test_entries_that_are_no_messages_are_passed_over(self) -> None:
        """The next good message arrives, at every end of the bus."""
        plain, process = self.fresh("b12_test"), self.fresh("b12_test!")
        if not self.put_garbage(plain):
            self.skipTest("nothing but messages can be put on the layer")
        self.layer.send(plain, {"number": 1})
        self.assertEqual(self.receive([plain]), (plain, {"number": 1}))
        self._worker_passes_over_garbage(plain)
        self.assertTrue(self.put_garbage(process + "a"))
        self.layer.send(process + "a", {"number": 3})
        self.assertEqual(self.receive([process]), (process + "a", {"number": 3}))
        self.run_async(self._inbox_passes_over_garbage(process))

    def test_entries_that_are_passed_over_are_counted(self) -> None:
        """For the channel, and for the process of a connection."""
        self.require("statistics")
        plain, process = self.fresh("b12_test"), self.fresh("b12_test!")
        if not self.put_garbage(plain):
            self.skipTest("nothing but messages can be put on the layer")

        def is_counted(name: str) -> bool:
            return self.layer.channel_statistics(name).get(Counter.UNDECODABLE, 0) > 0

        text = "what is no message is not counted"
        self._worker_passes_over_garbage(plain)
        self.until(lambda: is_counted(plain), text)
        self.run_async(
            self._inbox_passes_over_garbage(
                process, lambda: self.until(lambda: is_counted(process), text)
            )
        )

    def _worker_passes_over_garbage(self, name: str) -> None:
        self.assertTrue(self.put_garbage(name))
        self.layer.send(name, {"number": 2})
        [delivery] = self.exchange_all(self.receiver(name), 1)
        self.assertEqual(delivery.content, {"number": 2})

    async def _inbox_passes_over_garbage(
        self, process: str, then: Callable[[], None] = lambda: None
    ) -> None:
        name, inbox = process + "a", self.layer.inbox(process)
        self.put_garbage(name)
        self.layer.send(name, {"number": 4})
        taken = await self.read(inbox, 1)
        self.assertIn((name, {"number": 4}), taken)
        await asyncio.to_thread(then)
        inbox.forget("a")
        await inbox.close()
