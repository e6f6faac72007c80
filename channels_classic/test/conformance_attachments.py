"""The checks of what is attached to connections."""

# ruff: noqa: PT009, PT027 - unittest must do: pytest is not installed with the package

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar

from channels_classic.exceptions import InvalidContent, InvalidName, MessageTooLarge
from channels_classic.layers.ends import Inbox
from channels_classic.layers.traffic import Content
from channels_classic.test.layer_case import LayerTestCase, typed


class AttachmentChecks(LayerTestCase):
    """What is attached to a connection is there as long as that lives, and no longer."""

    __test__: ClassVar[bool] = False

    def _channels(self) -> list[str]:
        """Two connections of one process, one of another, and a plain channel."""
        self.require_trait("attachments")
        process = self.fresh("at!")
        return [process + "a", process + "b", self.fresh("at!") + "a", self.fresh("at_test")]

    def test_what_is_attached_is_found_by_channel_and_key(self) -> None:
        """In the order that was asked for, once or twice; None where nothing is attached."""
        names = self._channels()
        for number, name in enumerate(names[1:]):
            self.layer.attach(name, "user", {"number": number})
            self.layer.attach(name, "seat", {"number": number + 10})
        asked = [*reversed(names), names[1], self.fresh("at!") + "a"]
        expected: list[Content | None] = [{"number": number} for number in (2, 1, 0)]
        self.assertEqual(self.layer.attached(asked, "user"), [*expected, None, {"number": 0}, None])
        self.assertEqual(self.layer.attached(names[1:2], "seat"), [{"number": 10}])
        self.assertEqual(self.layer.attached(names, "other"), [None] * 4)
        self.assertEqual(self.layer.attached([], "user"), [])

    def test_what_is_attached_again_replaces_what_was(self) -> None:
        """As a whole: nothing of the old content stays."""
        for name in self._channels():
            self.layer.attach(name, "user", {"old": 1})
            self.layer.attach(name, "user", {"new": 2})
            self.assertEqual(self.layer.attached([name], "user"), [{"new": 2}])

    def test_what_is_attached_comes_back_as_it_was(self) -> None:
        """With the types of all its parts; nobody's later changes are in it."""
        content: dict[str, Any] = {"text": "ü", "bytes": b"\xff", "list": [1, 2.5, None, True]}
        for name in self._channels():
            self.layer.attach(name, "user", content)
            content["list"].append({})
            [found] = self.layer.attached([name], "user")
            content["list"].pop()
            self.assertEqual(typed(found), typed(content))
            (found or {}).clear()
            self.assertEqual(self.layer.attached([name], "user"), [content])

    def test_what_is_detached_is_gone(self) -> None:
        """Under that key, from that channel; and it is no error when nothing was there."""
        names = self._channels()
        for name in names:
            self.layer.attach(name, "user", {"of": name})
            self.layer.attach(name, "seat", {"of": name})
        for number, name in enumerate(names, 1):
            self.layer.detach(name, "user")
            self.layer.detach(name, "user")
            left: list[Content | None] = [{"of": each} for each in names[number:]]
            self.assertEqual(self.layer.attached(names, "user"), [None] * number + left)
        self.assertEqual(self.layer.attached(names, "seat"), [{"of": name} for name in names])

    def test_what_cannot_be_attached_is_refused(self) -> None:
        """Bad names and keys, what is no dict or cannot be carried, and what is too large."""
        name, *_ = self._channels()
        bad_calls = [("a name!", "user"), (name, "a key"), (name, ""), (name, "k" * 100)]
        for channel, key in bad_calls:
            with self.assertRaises(InvalidName):
                self.layer.attach(channel, key, {})
            with self.assertRaises(InvalidName):
                self.layer.attached([channel], key)
            with self.assertRaises(InvalidName):
                self.layer.detach(channel, key)
        no_dict: Any = [1]
        for content in (no_dict, {"thing": object()}):
            with self.assertRaises(InvalidContent):
                self.layer.attach(name, "user", content)
        with self.assertRaises(MessageTooLarge):
            self.layer.attach(name, "user", {"data": b"x" * (self.layer.max_message_size + 1)})
        self.assertEqual(self.layer.attached([name], "user"), [None])

    def test_attachments_to_a_plain_channel_expire(self) -> None:
        """After ``group_expiry`` seconds from the last attach; those of a connection do not."""
        open_one, _, _, plain = self._channels()
        if self.layer.group_expiry > 20:
            self.skipTest("group_expiry is over 20 s")
        self.layer.attach(plain, "user", {"number": 1})

        async def check() -> None:
            inbox = self.layer.inbox(open_one.partition("!")[0] + "!")
            await inbox.beat(ttl=60)
            self.layer.attach(open_one, "user", {"number": 1})
            self.wait(self.layer.group_expiry)
            await asyncio.to_thread(
                self.until,
                lambda: self.layer.attached([plain, open_one], "user") == [None, {"number": 1}],
                "those of the plain channel go on, or those of the connection have ended",
            )
            await inbox.close()

        self.run_async(check())

    def test_attachments_are_there_for_the_last_message_of_a_connection(self) -> None:
        """Its close leaves them, and so does the stop of its server: consumers may be running."""
        name, other, *_ = self._channels()

        async def check() -> None:
            async with self._closing(name) as inbox:
                self.layer.attach(other, "user", {"at": "the end"})
                self.assertEqual(self.layer.attached([name], "user"), [{"at": "the start"}])
                self.layer.attach(name, "seat", {"at": "the end"})
                await inbox.beat(ttl=60)

        self.run_async(check())
        found = self.layer.attached([name, other], "user") + self.layer.attached([name], "seat")
        self.assertEqual(found, [{"at": "the start"}, {"at": "the end"}, {"at": "the end"}])

    def test_attachments_of_a_connection_end_some_minutes_after_its_close(self) -> None:
        """Those that were attached after it, too; those of the others stay."""
        name, other, *_ = self._channels()
        if type(self).wait is LayerTestCase.wait:
            self.skipTest("nobody wants to wait so long")

        async def check() -> None:
            async with self._closing(name) as inbox:
                self.layer.attach(name, "seat", {"at": "the end"})
                self.layer.attach(other, "user", {"at": "the end"})
                for _ in range(2):
                    self.wait((self.expiry_delay or 0) + 300)
                    await inbox.beat(ttl=60)
                self.assertEqual(self.layer.attached([name], "seat"), [None])
                found = self.layer.attached([name, other], "user")
                self.assertEqual(found, [None, {"at": "the end"}])

        self.run_async(check())

    @asynccontextmanager
    async def _closing(self, name: str) -> AsyncIterator[Inbox]:
        """The inbox of a process whose connection ``name`` has closed, with an attachment."""
        process, mark, local = name.partition("!")
        closed: set[str] = set()
        inbox = self.layer.inbox(process + mark, lambda each: each not in closed)
        await inbox.beat(ttl=60)
        self.layer.attach(name, "user", {"at": "the start"})
        closed.add(local)
        inbox.forget(local)
        await inbox.beat(ttl=60)
        yield inbox
        await inbox.close()

    def test_a_flush_forgets_attachments(self) -> None:
        """Of connections and of plain channels."""
        names = self._channels()
        self.require("flush")
        for name in names:
            self.layer.attach(name, "user", {})
        self.layer.flush()
        self.assertEqual(self.layer.attached(names, "user"), [None] * 4)

    def test_attachments_of_a_dead_server_are_there_for_its_wills(self) -> None:
        """When another process sends these; what they attach is kept as well."""
        self.require_own("beat")
        name, other, *_ = self._channels()
        if getattr(self.layer, "local_only", False):
            self.skipTest("the layer is for one process, which dies as a whole")
        channel = self.fresh("at_will")

        async def die() -> None:
            inbox = self.layer.inbox(name.partition("!")[0] + "!")
            await inbox.beat(ttl=0.2)
            inbox.leave_will(name.partition("!")[2], self.layer.prepare(channel, {}))
            self.layer.attach(name, "user", {"number": 1})
            await inbox.beat(ttl=0.2)
            text = "the will of a dead server was not sent"
            await asyncio.to_thread(self.until, is_sent, text)

        def is_sent() -> bool:
            self.layer.beat("host/finds", [channel], ttl=60)
            return self.layer.receive([channel])[0] is not None

        self.run_async(die())
        self.layer.attach(other, "user", {"number": 2})
        found = self.layer.attached([name, other], "user")
        self.assertEqual(found, [{"number": 1}, {"number": 2}])
