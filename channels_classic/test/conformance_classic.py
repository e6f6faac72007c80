"""The checks that Channels 1 had for its channel layers, and the rest of the classic contract."""

# ruff: noqa: PT009, PT027 - unittest must do: pytest is not installed with the package

from __future__ import annotations

import time
from typing import Any, ClassVar

from channels_classic.test.layer_case import LayerTestCase, by_name, typed

BAD_NAMES = [
    *("", "with space", "slash/name", "café", "line\n", "?", "!", "?random", "!local"),
    *("a?b!c", "a!b?c", "a!b!c", "a?b?c", "a?", "x" * 100, b"bytes", None, 7),
]
BAD_GROUP_NAMES = ["", "with space", "café", "line\n", "a!b", "a?b", "x" * 100, b"bytes", None]


class ClassicChecks(LayerTestCase):
    """One message at a time through ``send`` and ``receive``; names, contents, groups, capacity."""

    __test__: ClassVar[bool] = False

    # Sending and receiving --------------------------------------------------------------

    def test_send_recv(self) -> None:
        """Messages arrive under the name of their channel."""
        first, second = self.fresh("sr_test"), self.fresh("sr_test2")
        for number in (1, 2, 3):
            self.layer.send(first, {"number": number})
        taken = by_name(self.take([first], 3))
        self.assertEqual({name: sorted(got) for name, got in taken.items()}, {first: [1, 2, 3]})
        self.layer.send(second, {"number": 4})
        self.assertEqual(self.receive([first, second]), (second, {"number": 4}))
        self.assert_nothing([first, second])
        self.assertEqual(self.layer.receive([]), (None, None))

    def test_single_process_receive(self) -> None:
        """A process receives the messages of all its channels, each with its full name."""
        process = self.fresh("spr_test!")
        for local in ("a", "b"):
            self.layer.send(process + local, {"to": local})
            self.assertEqual(self.receive([process]), (process + local, {"to": local}))
        self.assert_nothing([process])

    def test_single_process_receive_error(self) -> None:
        """One channel of a process cannot be received alone; nor one without its random part."""
        for name in ("spre_test!c", "spre_test?"):
            with self.assertRaises(TypeError):
                self.layer.receive([name])

    def test_single_reader_channels_keep_their_order(self) -> None:
        """What one writer sends, one reader receives in the same order."""
        count = min(5, self.capacity_limit or 5)
        for name in (self.layer.new_channel("order_test?"), self.fresh("order_test!") + "a"):
            for number in range(count):
                self.layer.send(name, {"number": number})
            source = name if "?" in name else name.partition("!")[0] + "!"
            self.assertEqual(by_name(self.take([source], count)), {name: list(range(count))})

    def test_a_busy_channel_does_not_starve_a_quiet_one(self) -> None:
        """Where several channels have messages, none is always passed over."""
        busy, quiet = self.fresh("busy"), self.fresh("quiet")
        self.layer.send(quiet, {})
        for _ in range(200):
            self.layer.send(busy, {})
            if self.take([busy, quiet], 1)[0][0] == quiet:
                return
        self.fail("200 messages of a busy channel went ahead of the one on a quiet channel")

    def test_message_expiry(self) -> None:
        """A message that nobody receives in time is gone."""
        plain, process = self.fresh("me_test"), self.fresh("me_test!")
        self.layer.send(plain, {"value": "blue"})
        self.layer.send(process + "a", {"value": "blue"})
        self.wait(self.expiry_delay or 0)
        self.assert_nothing([plain])
        self.assert_nothing([process])

    def test_messages_that_have_expired_take_no_room(self) -> None:
        """A channel full of expired messages is empty."""
        limit = self.limit()
        for name, source in self.plain_and_process("expired_test"):
            for _ in range(limit):
                self.layer.send(name, {"value": "old"})
            self.wait(self.expiry_delay or 0)
            self.layer.send(name, {"value": "new"})
            self.assertEqual(self.receive([source]), (name, {"value": "new"}))
            self.assert_nothing([source])

    # Names and contents -----------------------------------------------------------------

    def test_new_channel_single_reader(self) -> None:
        """A new channel has a name that can be used and that nobody else has."""
        names = {self.layer.new_channel("test_reply?") for _ in range(20)}
        self.assertEqual(len(names), 20)
        for name in names:
            self.assertIsInstance(name, str)
            self.assertEqual(name.count("?"), 1)
            self.assertGreater(len(name), len("test_reply?"))
            self.assertTrue(name.startswith("test_reply?"))
        first, second, *_ = names
        self.layer.send(second, {"value": 1})
        self.assertEqual(self.receive([first, second]), (second, {"value": 1}))

    def test_new_channel_failures(self) -> None:
        """Only patterns that end in a question mark make new channels."""
        for pattern in ("test!", "test.foo", "", b"test?"):
            with self.assertRaises(TypeError):
                self.layer.new_channel(pattern)  # type: ignore[arg-type]

    def test_bad_names(self) -> None:
        """Names that break the rules are refused by every verb that takes one."""
        for name in BAD_NAMES:
            with self.subTest(name=name), self.assertRaises(TypeError):
                self.layer.send(name, {})  # type: ignore[arg-type]
        with self.assertRaises(TypeError):
            self.layer.receive(["fine", "not fine"])
        self.layer.send("x" * 99, {})
        self.assertEqual(self.receive(["x" * 99]), ("x" * 99, {}))

    def test_bad_group_names(self) -> None:
        """The same for the names of groups, and for those of members."""
        self.require("groups")
        for name in BAD_GROUP_NAMES:
            with self.subTest(name=name):
                for call in (self.layer.group_add, self.layer.group_discard):
                    with self.assertRaises(TypeError):
                        call(name, "fine")  # type: ignore[arg-type]
                with self.assertRaises(TypeError):
                    self.layer.send_group(name, {})  # type: ignore[arg-type]
        with self.assertRaises(TypeError):
            self.layer.group_add("fine", "not fine")

    def test_strings(self) -> None:
        """Texts and bytes come back as what they were, however deep inside."""
        self._goes_and_comes(
            {
                "empty": ["", b""],
                "text": "Grüße ☃ 🦄 \x00\x1f\u2028",
                "bytes": bytes(range(256)),
                "nested": {"list": ["a", b"a", {"ключ": [b"\x00\xff", [["\n"]]]}]},
            }
        )

    def test_values(self) -> None:
        """So does everything else that a message may hold; a tuple becomes a list."""
        self._goes_and_comes(
            {
                "ints": [0, 1, -1, 2**63 - 1, -(2**63)],
                "floats": [0.0, 1.0, -1.5, 1e308, 5e-324, float("inf")],
                "others": [True, False, None, {}, [], [[]]],
                "tuple": (1, (b"2", "3")),
            }
        )
        self._goes_and_comes({})

    def _goes_and_comes(self, content: dict[str, Any]) -> None:
        name = self.fresh("value_test")
        self.layer.send(name, content)
        [(_, received)] = self.take([name], 1)
        self.assertEqual(typed(received), typed(content))

    def test_what_is_no_dict_is_refused(self) -> None:
        """A message is a dict."""
        name = self.fresh("dict_test")
        for content in (None, "text", b"bytes", 7, [("key", "value")]):
            with self.subTest(content=content), self.assertRaises((TypeError, AssertionError)):
                self.layer.send(name, content)  # type: ignore[arg-type]
        self.assert_nothing([name])

    def test_values_that_cannot_be_carried_are_named(self) -> None:
        """The error says where in the message the value is."""
        name = self.fresh("value_test")
        for bad in (object(), {1, 2}, 2**70):
            content = {"fine": 1, "form": {"fields": ["x", {"when": bad}]}}
            with self.subTest(bad=bad), self.assertRaises((TypeError, ValueError)) as caught:
                self.layer.send(name, content)
            self.assertRegex(str(caught.exception), "form.+fields.+1.+when")
        with self.assertRaises((TypeError, ValueError)) as caught:
            self.layer.send(name, {"form": {"fields": [{7: "x"}]}})
        self.assertRegex(str(caught.exception), "form.+fields.+0")
        self.assert_nothing([name])

    def test_message_size(self) -> None:
        """A megabyte is carried; what is over the limit is refused by name."""
        name = self.fresh("size_test")
        limit = int(self.layer.max_message_size)
        self.layer.send(name, {"body": "x" * min(1_000_000, limit - 100)})
        with self.assertRaises(self.layer.MessageTooLarge):
            self.layer.send(name, {"body": b"x" * (limit + 1)})
        self.assertEqual(len(self.take([name], 1)[0][1]["body"]), min(1_000_000, limit - 100))
        self.assert_nothing([name])

    def test_message_alteration_after_send(self) -> None:
        """What happens to a dict after it was sent does not change the message."""
        name = self.fresh("mas_test")
        content: dict[str, Any] = {"value": [1, {"deep": 2}]}
        self.layer.send(name, content)
        content["value"][1]["deep"] = "changed"
        content["new"] = True
        self.assertEqual(self.receive([name]), (name, {"value": [1, {"deep": 2}]}))

    def test_message_alteration_after_receive(self) -> None:
        """What one receiver does to a message of a group does not change that of the next."""
        self.require("groups")
        group, process = self.fresh("mar_test"), self.fresh("mar_test!")
        for local in ("a", "b"):
            self.layer.group_add(group, process + local)
        self.layer.send_group(group, {"value": [1]})
        for _ in range(2):
            [(_, content)] = self.take([process], 1)
            self.assertEqual(content, {"value": [1]})
            content["value"].append("changed")

    def test_exceptions(self) -> None:
        """The layer names its errors."""
        for error in (self.layer.ChannelFull, self.layer.MessageTooLarge):
            self.assertTrue(issubclass(error, Exception))

    # Groups -----------------------------------------------------------------------------

    def test_groups(self) -> None:
        """A message to a group reaches its members, once, and nobody else."""
        self.require("groups")
        group = self.fresh("tgroup")
        names = [self.fresh(f"tg_test{number}") for number in (1, 2, 3)]
        self._three_members_less_one(group, names)
        for name in names[:2]:
            self.assertEqual(self.receive([name]), (name, {"number": 1}))
            self.assert_nothing([name])
        self.assert_nothing([names[2]])

    def test_groups_process(self) -> None:
        """The same for connections of one process."""
        self.require("groups")
        group, process = self.fresh("tgroup"), self.fresh("tgp!")
        names = [process + local for local in ("test1", "test2", "test3")]
        self._three_members_less_one(group, names)
        taken = by_name(self.take([process], 2))
        self.assertEqual(taken, {names[0]: [1], names[1]: [1]})
        self.assert_nothing([process])

    def _three_members_less_one(self, group: str, names: list[str]) -> None:
        for name in names:
            self.layer.group_add(group, name)
        self.layer.group_add(group, names[0])  # twice is once
        self.layer.group_discard(group, names[2])
        self.layer.group_discard(group, names[2])  # no error
        self.layer.send_group(group, {"number": 1})

    def test_groups_mixed(self) -> None:
        """A group may hold plain channels, and connections of several processes."""
        self.require("groups")
        group, plain = self.fresh("mixed"), self.fresh("mixed_test")
        first, second = self.fresh("mixed_one!"), self.fresh("mixed_two!")
        for name in (first + "a", plain, second + "a", first + "b"):
            self.layer.group_add(group, name)
        self.layer.send_group(group, {"number": 1})
        self.assertEqual(by_name(self.take([plain], 1)), {plain: [1]})
        self.assertEqual(by_name(self.take([first], 2)), {first + "a": [1], first + "b": [1]})
        self.assertEqual(by_name(self.take([second], 1)), {second + "a": [1]})
        self.assert_nothing([plain, first, second])

    def test_groups_nobody_is_in(self) -> None:
        """A message to an empty group goes nowhere, without an error."""
        self.require("groups")
        group = self.fresh("nobody")
        self.layer.send_group(group, {})
        self.layer.group_discard(group, "somebody!a")
        self.assertEqual(list(self.layer.group_channels(group)), [])

    def test_group_channels(self) -> None:
        """The members are those that were added and not discarded."""
        self.require("groups")
        group, process = self.fresh("tgroup"), self.fresh("tgc!")
        names = {self.fresh("tgc_test"), process + "a", process + "b"}
        for name in names:
            self.layer.group_add(group, name)
        self.assertEqual(sorted(self.layer.group_channels(group)), sorted(names))
        gone = process + "a"
        self.layer.group_discard(group, gone)
        self.assertEqual(sorted(self.layer.group_channels(group)), sorted(names - {gone}))

    def test_group_expiry(self) -> None:
        """A plain channel's membership ends, a connection's does not."""
        self.require("groups")
        if self.layer.group_expiry > 20:
            self.skipTest("group_expiry is over 20 s")
        group, plain, process = self.fresh("tge"), self.fresh("tge_test"), self.fresh("tge!")
        self.layer.group_add(group, plain)
        self.layer.group_add(group, process + "a")
        self.wait(self.layer.group_expiry)
        self.until(
            lambda: list(self.layer.group_channels(group)) == [process + "a"],
            "the membership of the plain channel goes on, or that of the connection has ended",
        )
        self.layer.send_group(group, {"number": 1})
        self.assert_nothing([plain])
        self.assertEqual(self.receive([process]), (process + "a", {"number": 1}))

    def test_group_expiry_is_counted_from_the_last_add(self) -> None:
        """To add a member again renews its membership."""
        self.require("groups")
        if self.layer.group_expiry > 20:
            self.skipTest("group_expiry is over 20 s")
        group, plain = self.fresh("tge"), self.fresh("tge_test")
        began = time.monotonic()
        self.layer.group_add(group, plain)
        self.wait(self.layer.group_expiry / 2)
        self.layer.group_add(group, plain)
        self.wait(self.layer.group_expiry / 2)
        if time.monotonic() - began < self.layer.group_expiry * 1.4:  # else we came too late
            self.assertEqual(list(self.layer.group_channels(group)), [plain])

    def test_flush(self) -> None:
        """After a flush there is no message."""
        self.require("flush")
        for name, source in self.plain_and_process("fl_test"):
            self.layer.send(name, {"value": "blue"})
            self.layer.flush()
            self.assert_nothing([source])
            self.layer.send(name, {"value": "red"})
            self.assertEqual(self.receive([source]), (name, {"value": "red"}))

    def test_flush_groups(self) -> None:
        """After a flush there is no group and no message to one; nor does room stay taken."""
        self.require("flush")
        self.require("groups")
        group = self.fresh("fl_group")
        for name, source in self.plain_and_process("fl_test"):
            self.layer.group_add(group, name)
            self.layer.send_group(group, {"value": "blue"})
            self.layer.flush()
            self.assertEqual(list(self.layer.group_channels(group)), [])
            self.layer.send_group(group, {"value": "blue"})
            self.assert_nothing([source])
            for _ in range(self.capacity_limit or 1):
                self.layer.send(name, {})

    # Capacity ---------------------------------------------------------------------------

    def test_capacity(self) -> None:
        """What is over the capacity is refused; what is there stays, and makes room by going."""
        limit = self.limit()
        name = self.fresh("cap_test")
        for number in range(limit):
            self.layer.send(name, {"number": number})
        self.assert_full(name)
        taken = self.take([name], limit)
        self.assertEqual(sorted(c["number"] for _, c in taken), list(range(limit)))
        self.assert_nothing([name])
        self.layer.send(name, {"number": 0})

    def test_capacity_process(self) -> None:
        """Capacity is counted for each connection: a full one does not make its sibling full."""
        limit = self.limit()
        process = self.fresh("cap_test!")
        for local in ("a", "b"):
            for number in range(limit):
                self.layer.send(process + local, {"number": number})
            self.assert_full(process + local)
        everything = list(range(limit))
        taken = by_name(self.take([process], 2 * limit))
        self.assertEqual(taken, {process + "a": everything, process + "b": everything})
        self.assert_nothing([process])
        self.layer.send(process + "a", {})

    def test_capacity_group(self) -> None:
        """A send to a group passes over members that are full, and is no error."""
        self.require("groups")
        limit = self.limit()
        group, full, other = self.fresh("tcg"), self.fresh("tcg_test"), self.fresh("tcg_test")
        process = self.fresh("tcg!")
        for name in (full, process + "a"):
            self.layer.group_add(group, name)
        for number in range(limit + 1):
            self.layer.send_group(group, {"number": number})
        self.layer.group_add(group, other)
        self.layer.send_group(group, {"number": -1})
        self.assertEqual(len(self.take([full], limit)), limit)
        self.assert_nothing([full])
        self.assertEqual(by_name(self.take([other], 1)), {other: [-1]})
        self.assertEqual(by_name(self.take([process], limit)), {process + "a": list(range(limit))})
