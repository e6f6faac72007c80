"""The suite that every channel layer passes: subclass ``ConformanceTestCase`` for yours."""

# ruff: noqa: PT009 - unittest must do: pytest is not installed with the package

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any, ClassVar

from channels_classic.layers.traffic import Content, Delivery, lane_of
from channels_classic.test.conformance_attachments import AttachmentChecks
from channels_classic.test.conformance_classic import ClassicChecks
from channels_classic.test.conformance_ends import EndsChecks
from channels_classic.test.conformance_lanes import LaneChecks
from channels_classic.test.conformance_losses import LossChecks
from channels_classic.test.conformance_promises import PromiseChecks
from channels_classic.test.layer_case import Taken, by_name


class ConformanceTestCase(
    ClassicChecks, EndsChecks, LaneChecks, LossChecks, PromiseChecks, AttachmentChecks
):
    """What people who send and receive may rely on, whatever layer they use.

    For unittest and pytest alike::

        class TestMyLayer(ConformanceTestCase):
            channel_layer = MyLayer(expiry=1, group_expiry=2, capacity=5)
            expiry_delay = 1.1
            capacity_limit = 5

    ``channel_layer`` and ``expiry_delay`` are required, else ``setUp`` raises ``ValueError``.
    Without ``capacity_limit`` the checks of capacity are left out, as are those of an extension
    that the layer does not have, of ``receipts``, ``later`` and ``attachments`` when it says that
    it has none, and of channels that never expire or drop their oldest message without ``forever``
    and ``dropping``, which say what the names of such channels begin with. Three hooks are for
    those who can do more: ``wait`` for a clock that can be moved, ``count_writes`` for what a send
    to a group costs, and ``put_garbage`` for what happens to entries that are no messages.

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
        costs = []
        for number in range(3):  # others may write at the same time
            before = self.count_writes() or 0
            self.layer.send_group(group, {"number": number})
            costs.append((self.count_writes() or 0) - before)
        return min(costs)

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
        taken = [content["number"] for _, content in self.take([plain], room)]
        self.assertEqual(self.arranged(plain, taken), list(range(room)))

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

    # B7: memberships live as long as the connection ----------------------------------------

    def test_the_members_of_a_group_are_counted(self) -> None:
        """As those who come and go do, connections and plain channels alike."""
        self.require("groups")
        group, process = self.fresh("b7"), self.fresh("b7!")
        members = [process + "a", process + "b", self.fresh("b7!") + "a", self.fresh("b7_test")]
        self.assertEqual(self.layer.group_count(group), 0)
        for member in [*members, *members]:
            self.layer.group_add(group, member)
        self.assertEqual(self.layer.group_count(group), 4)
        for left, member in enumerate(reversed(members)):
            self.layer.group_discard(group, member)
            self.assertEqual(self.layer.group_count(group), 3 - left)

    def test_a_connection_that_has_closed_joins_no_group(self) -> None:
        """A consumer that is late with its join leaves no member behind."""
        self.require("groups")
        self.require_own("inbox")
        group, process = self.fresh("b7_late"), self.fresh("b7_late!")

        async def check() -> None:
            inbox = self.layer.inbox(process, lambda local: local != "closed")
            self.layer.group_add(group, process + "open")
            self.layer.group_add(group, process + "closed")
            self.layer.send_group(group, {"number": 1})
            end = time.monotonic() + self.patience
            while list(self.layer.group_channels(group)) != [process + "open"]:
                self.assertLess(time.monotonic(), end, "a closed connection is a member")
                await asyncio.wait([asyncio.ensure_future(inbox.read())], timeout=0.05)
            await inbox.close()

        self.run_async(check())

    # Workers that are known -----------------------------------------------------------------

    def test_a_worker_is_known_while_it_beats(self) -> None:
        """Until it takes its leave, or is not heard of for as long as it said."""
        self.require_own("has_worker")
        name, other = self.fresh("beat_test"), self.fresh("beat_test")
        self.assertFalse(self._has_worker(name))
        self.layer.beat("host/1", [name], ttl=60)
        self.assertTrue(self._has_worker(name))
        self.assertFalse(self._has_worker(other))
        self.layer.withdraw("host/1", [name])
        self.assertFalse(self._has_worker(name))
        self.layer.beat("host/2", [name], ttl=0.2)
        self.wait(0.2)
        self.until(lambda: not self._has_worker(name), "a worker is believed to live")

    def _has_worker(self, name: str) -> bool:
        found: list[bool] = []

        async def ask() -> None:
            found.append(await self.layer.has_worker(name))

        self.run_async(ask())
        return found[0]

    # B2, B4, B7: whoever dies leaves nothing behind -----------------------------------------

    def test_what_a_dead_worker_had_in_hand_lapses(self) -> None:
        """Once, to whoever beats; what a live worker has in hand does not."""
        self._require_several_processes()
        name, lane = self.fresh("b2_test"), lane_of(self.fresh("b2!") + "a", 1)
        for number, worker in enumerate(("host/lives", "host/dead")):
            send = self.layer.prepare(name, {"number": number}, lane=lane, attempts=1)
            self.layer.beat(worker, [name], ttl=0.2 if number else 60)
            self.layer.deliver([send])
            self.take_delivery(self.receiver(name, worker=worker))
        lapsed: list[Delivery] = []

        def lapses() -> bool:
            lapsed.extend(self.layer.beat("host/finds", [name], ttl=60).lapsed)
            return bool(lapsed)

        self.until(lapses, "what a dead worker had in hand does not lapse")
        self.assertFalse(self.layer.beat("host/finds", [name], ttl=60).lapsed)
        [delivery] = lapsed
        self.assertEqual((delivery.content, delivery.lane), ({"number": 1}, lane))
        self.assertEqual((delivery.channel, delivery.attempts), (name, 1))
        self.layer.settle(lapsed, [])
        self.assert_nothing([name])

    def test_a_dead_server_leaves_its_wills_and_no_members(self) -> None:
        """Its open sockets are ended in its place; those that it had ended itself are not."""
        self._require_several_processes()
        self.require("groups")
        name, group, process = self.fresh("b7_test"), self.fresh("b7"), self.fresh("b7!")

        async def check() -> None:
            inbox = self.layer.inbox(process)
            await inbox.beat(ttl=0.5)
            for number, local in enumerate("ab"):
                self.layer.group_add(group, process + local)
                inbox.leave_will(local, self.layer.prepare(name, {"number": number}))
            inbox.withdraw_will("b")
            await inbox.beat(ttl=0.5)
            text = "the wills of a dead server were not sent, or it still has members"
            await asyncio.to_thread(self.until, is_over, text)
            await inbox.close()

        def is_over() -> bool:
            self.layer.beat("host/finds", [name], ttl=60)
            _, content = self.layer.receive([name])
            sent.extend([content] if content else [])
            return bool(sent) and not list(self.layer.group_channels(group))

        sent: list[Content] = []
        self.run_async(check())
        self.assertEqual(sent, [{"number": 0}])
        self.assert_nothing([name])

    def _require_several_processes(self) -> None:
        self.require_own("beat")
        if getattr(self.layer, "local_only", False):
            self.skipTest("the layer is for one process, which dies as a whole")

    # Blocking ---------------------------------------------------------------------------

    def test_a_blocking_receive_waits(self) -> None:
        """It gets what comes later, at once, and spends no time on the processor meanwhile."""
        for name, source in self.plain_and_process("block_test"):
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
        for name, source in self.plain_and_process("block_test"):
            self.layer.send(name, {"value": "here"})
            began = time.monotonic()
            found = self.layer.receive([self.fresh("block_test"), source], block=True)
            self.assertEqual(found, (name, {"value": "here"}))
            self.assertLess(time.monotonic() - began, 1)
