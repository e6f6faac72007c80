"""The suite that every channel layer passes: subclass ``ConformanceTestCase`` for yours."""

# ruff: noqa: PT009 - unittest must do: pytest is not installed with the package

from __future__ import annotations

import threading
import time
from typing import Any, ClassVar

from channels_classic.layers.names import non_local_name
from channels_classic.test.conformance_classic import ClassicChecks
from channels_classic.test.conformance_ends import EndsChecks
from channels_classic.test.layer_case import Taken, by_name


class ConformanceTestCase(ClassicChecks, EndsChecks):
    """What people who send and receive may rely on, whatever layer they use.

    For unittest and pytest alike::

        class TestMyLayer(ConformanceTestCase):
            channel_layer = MyLayer(expiry=1, group_expiry=2, capacity=5)
            expiry_delay = 1.1
            capacity_limit = 5

    ``channel_layer`` and ``expiry_delay`` are required, else ``setUp`` raises ``ValueError``.
    Without ``capacity_limit`` the checks of capacity are left out, as are those of an extension
    that the layer does not have. Three hooks are for those who can do more: ``wait`` for a clock
    that can be moved, ``count_writes`` for what a send to a group costs, and ``put_garbage`` for
    what happens to entries that are no messages.

    Two checks differ from those of Channels 1 on purpose. The capacity of a channel with ``!`` is
    that of one connection, by its full name: one that is full does not make the others of its
    process full. And the membership of such a channel lasts as long as the connection, whatever
    ``group_expiry`` says, which is for plain channels.
    """

    __test__: ClassVar[bool] = False

    # B1: exactly one reader ---------------------------------------------------------------

    def test_each_message_is_received_by_one_of_several_readers(self) -> None:
        """Two threads write, four read at the same time: nothing is missing, or comes twice."""
        name, count = self.fresh("b1_test"), 150
        taken: list[int] = []

        def write(numbers: range) -> None:
            for number in numbers:
                self.send_in_time(name, {"number": number})

        self._read_all(
            [name],
            taken,
            lambda: write(range(count)),
            lambda: write(range(count, 2 * count)),
            count=2 * count,
        )
        self.assertEqual(sorted(taken), list(range(2 * count)))
        self.assert_nothing([name])

    def test_each_message_of_a_process_is_received_by_one_of_several_threads(self) -> None:
        """The same for the messages to a group of connections, received by their process."""
        self.require("groups")
        group, process = self.fresh("b1_group"), self.fresh("b1_group!")
        taken: list[int] = []
        room = min(self.capacity_limit or 5, 5)

        def send(number: int) -> None:
            self.layer.group_add(group, f"{process}{number}")
            self.layer.send_group(group, {"number": number})
            read = max(0, number + 2 - room)  # of the sends, so that no connection gets full
            self.until(lambda: len(taken) >= read * (read + 1) / 2, "a message is missing")

        def write() -> None:
            for number in range(20):
                send(number)

        self._read_all([process], taken, write, count=210)
        self.assertEqual(sorted(taken), sorted(n for n in range(20) for _ in range(n + 1)))

    def _read_all(self, names: list[str], taken: list[int], *writers: Any, count: int) -> None:
        end = time.monotonic() + self.patience * 2

        def read() -> None:
            while len(taken) < count and time.monotonic() < end:
                name, content = self.layer.receive(names)
                if name is None or content is None:
                    time.sleep(0.001)
                else:
                    taken.append(content["number"])

        self.together(*writers, *[read] * 4)

    # B5: what a send to a group costs -----------------------------------------------------

    def test_a_send_to_a_group_costs_one_write_per_process(self) -> None:
        """However many connections of the process are members."""
        self.require("groups")
        if self.count_writes() is None:
            self.skipTest("the layer's writes cannot be counted")
        self.assertEqual(self._writes_for(10), self._writes_for(1000))

    def _writes_for(self, members: int) -> int:
        group, process = self.fresh("b5_test"), self.fresh("b5_test!")
        for number in range(members):
            self.layer.group_add(group, f"{process}{number}")
        self.layer.send_group(group, {"number": 0})
        before = self.count_writes() or 0
        self.layer.send_group(group, {"number": 1})
        return (self.count_writes() or 0) - before

    # B6: members get what is sent after they were added, in order, once --------------------

    def test_members_get_what_is_sent_after_they_were_added(self) -> None:
        """In the order of the sends, and nothing that was sent before or after."""
        self.require("groups")
        group, process, plain = self.fresh("b6"), self.fresh("b6!"), self.fresh("b6_test")
        members = [f"{process}{number}" for number in range(6)]
        self.layer.send_group(group, {"number": -1})
        self.layer.group_add(group, plain)
        for number, member in enumerate(members):
            self.layer.group_add(group, member)
            self.layer.send_group(group, {"number": number})
            if number >= 3:
                self.layer.group_discard(group, members[number - 3])
        # Nothing was received meanwhile: who was a member at the time of each send still counts.
        expected = {
            member: list(range(first, min(first + 4, 6))) for first, member in enumerate(members)
        }
        count = sum(len(numbers) for numbers in expected.values())
        self.assertEqual(by_name(self.take([process], count)), expected)
        self.assert_nothing([process])
        room = min(self.capacity_limit or 6, 6)
        self.assertEqual(by_name(self.take([plain], room)), {plain: list(range(room))})

    def test_members_get_everything_while_others_come_and_go(self) -> None:
        """Those who stay miss nothing; nobody gets anything twice or out of order."""
        self.require("groups")
        group, process = self.fresh("b6"), self.fresh("b6!")
        stays = [f"{process}s{number}" for number in range(5)]
        count, over = 60, threading.Event()
        for member in stays:
            self.layer.group_add(group, member)

        def churn() -> None:
            number = 0
            while not over.is_set():
                member = f"{process}c{number % 7}"
                self.layer.group_add(group, member)
                self.layer.group_discard(group, member)
                number += 1

        def write() -> None:
            try:
                for number in range(count):
                    self.layer.send_group(group, {"number": number})
                    if number % (self.capacity_limit or 5) == 0:  # so that nobody gets full
                        found.extend(self._everything(process))
            finally:
                over.set()

        found: Taken = []
        self.together(write, churn)
        taken = by_name([*found, *self._everything(process)])
        for member in stays:
            self.assertEqual(taken.pop(member, []), list(range(count)), f"{member} stayed")
        for member, numbers in taken.items():
            self.assertEqual(numbers, sorted(set(numbers)), f"{member} came and went")

    def _everything(self, process: str) -> Taken:
        taken: Taken = []
        while True:
            name, content = self.receive([process])
            if name is None or content is None:
                return taken
            taken.append((name, content))

    def test_members_get_what_is_sent_after_the_expiry_of_messages(self) -> None:
        """A join does not get lost because nobody receives for as long as a message lives."""
        self.require("groups")
        group, process = self.fresh("b6_late"), self.fresh("b6_late!")
        self.assert_nothing([process])
        self.layer.group_add(group, process + "a")
        self.layer.group_add(group, process + "b")
        self.layer.group_discard(group, process + "b")
        self.wait(self.expiry_delay or 0)
        self.layer.send_group(group, {"number": 1})
        self.assertEqual(self.receive([process]), (process + "a", {"number": 1}))
        self.assert_nothing([process])

    # B8: what is refused is counted -------------------------------------------------------

    def test_what_is_refused_is_counted(self) -> None:
        """For the channel, or for the process of a connection, and over all."""
        self.require("statistics")
        limit = self.limit()
        before = self.layer.global_statistics().get("channel_full_count", 0)
        for name in (self.fresh("b8_test"), self.fresh("b8_test!") + "a"):
            for _ in range(limit):
                self.layer.send(name, {})
            for _ in range(3):
                self.assert_full(name)
            self.layer.deliver([self.layer.prepare(name, {})] * 2)
            counted = self.layer.channel_statistics(non_local_name(name))
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

    # B12: entries that are no messages ----------------------------------------------------

    def test_entries_that_are_no_messages_are_passed_over(self) -> None:
        """The next good message arrives, at every end of the bus."""
        plain, process = self.fresh("b12_test"), self.fresh("b12_test!")
        if not self.put_garbage(plain):
            self.skipTest("nothing but messages can be put on the layer")
        self.layer.send(plain, {"number": 1})
        self.assertEqual(self.receive([plain]), (plain, {"number": 1}))
        receiver = self.receiver(plain)
        self.assertTrue(self.put_garbage(plain))
        self.layer.send(plain, {"number": 2})
        [delivery] = self.exchange_all(receiver, 1)
        self.assertEqual(delivery.content, {"number": 2})
        self.assertTrue(self.put_garbage(process + "a"))
        self.layer.send(process + "a", {"number": 3})
        self.assertEqual(self.receive([process]), (process + "a", {"number": 3}))
        self.run_async(self._inbox_passes_over_garbage(process + "a"))

    async def _inbox_passes_over_garbage(self, name: str) -> None:
        inbox = self.layer.inbox(non_local_name(name))
        self.put_garbage(name)
        self.layer.send(name, {"number": 4})
        taken = await self.read(inbox, 1)
        self.assertIn((name, {"number": 4}), taken)
        inbox.forget(name.partition("!")[2])
        await inbox.close()

    # Blocking ---------------------------------------------------------------------------

    def test_a_blocking_receive_waits(self) -> None:
        """It gets what comes later, at once, and spends no time on the processor meanwhile."""
        for name, source in self._plain_and_process("block_test"):
            report = self._receive_later(name, source)
            self.assertEqual(report["received"], (name, {"value": "late"}))
            self.assertLess(report["after"], 1.0, "the message was sent long before it arrived")
            self.assertLess(report["busy"], 0.1, "the waiting thread was busy")
            self.assertLess(report["calls"], 6, "receive came back at once with nothing")

    def _receive_later(self, name: str, source: str) -> dict[str, Any]:
        report: dict[str, Any] = {"calls": 0}
        end = time.monotonic() + self.patience

        def wait() -> None:
            began = time.thread_time()
            found: Any = (None, None)
            while found[0] is None and time.monotonic() < end:
                found = self.layer.receive([source], block=True)
                report["calls"] += 1
            report.update(received=found, at=time.monotonic(), busy=time.thread_time() - began)

        thread = self.start(wait)
        thread.join(0.3)
        sent = time.monotonic()
        self.layer.send(name, {"value": "late"})
        thread.finish(self.patience * 2)
        report["after"] = report["at"] - sent
        return report

    def test_a_blocking_receive_finds_what_is_there(self) -> None:
        """It does not wait for the next message."""
        for name, source in self._plain_and_process("block_test"):
            self.layer.send(name, {"value": "here"})
            began = time.monotonic()
            found = self.layer.receive([self.fresh("block_test"), source], block=True)
            self.assertEqual(found, (name, {"value": "here"}))
            self.assertLess(time.monotonic() - began, 1)
