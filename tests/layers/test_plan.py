"""Sends become few commands, in an order that every destination can rely on."""

from __future__ import annotations

import pytest

from channels_classic.exceptions import ChannelFull
from channels_classic.layers.traffic import Envelope
from channels_classic.layers.wire import (
    _REPLIES,
    REPLY,
    SCRIPTS,
    SEND,
    SEND_GROUP,
    Keys,
    Planner,
)


@pytest.fixture
def planner() -> Planner:
    return Planner(Keys("p:"), lambda name: 7, expiry_ms=1000, lives_ms=2000, inbox_limit=50)


def to(*names: str) -> list[Envelope]:
    """One send to each name, numbered; a name with a star is a group's."""
    return [
        Envelope(name.strip("*"), b"%d" % number, name.startswith("*"))
        for number, name in enumerate(names)
    ]


def plan(planner: Planner, *names: str) -> list[tuple[str, list[bytes]]]:
    """The destination and the payloads of each command."""
    return [
        (step.command[3], [envelope.payload for envelope in step.envelopes])
        for step in planner.steps(to(*names))
    ]


def test_no_sends_are_no_commands(planner):
    assert planner.steps([]) == []


def test_sends_to_one_channel_travel_together(planner):
    assert plan(planner, "a", "b", "a", "a", "b") == [
        ("p:channel:{a}", [b"0", b"2", b"3"]),
        ("p:channel:{b}", [b"1", b"4"]),
    ]


def test_sends_to_connections_of_one_process_travel_together(planner):
    assert plan(planner, "x!a", "y!a", "x!b", "x!a", "x!") == [
        ("p:inbox:{x!}", [b"0", b"2", b"3", b"4"]),
        ("p:inbox:{y!}", [b"1"]),
    ]


def test_a_send_to_a_group_parts_what_comes_before_from_what_comes_after(planner):
    assert plan(planner, "x!a", "*chat", "x!a", "*chat", "*chat", "x!a") == [
        ("p:inbox:{x!}", [b"0"]),
        ("p:group:{chat}", [b"1"]),
        ("p:inbox:{x!}", [b"2"]),
        ("p:group:{chat}", [b"3"]),
        ("p:group:{chat}", [b"4"]),
        ("p:inbox:{x!}", [b"5"]),
    ]


def test_one_command_does_not_carry_more_than_a_script_can_take(planner):
    steps = planner.steps(to(*["x!a"] * (2 * _REPLIES + 1)))
    assert [len(step.envelopes) for step in steps] == [_REPLIES, _REPLIES, 1]
    payloads = [int(envelope.payload) for step in steps for envelope in step.envelopes]
    assert payloads == sorted(payloads)


def test_a_plain_channel_has_counters_and_one_with_a_random_name_has_none(planner):
    plain, single = (step.command for step in planner.steps(to("a", "b?c")))
    assert plain[:5] == ("EVALSHA", SEND.digest, 2, "p:channel:{a}", "p:stats:{a}")
    assert plain[5:] == (7, 1000, 2000, b"0")
    assert single[:4] == ("EVALSHA", SEND.digest, 1, "p:channel:{b?c}")


def test_a_reply_names_its_connection(planner):
    [step] = planner.steps(to("x!a", "x!b"))
    keys = ("p:inbox:{x!}", "p:waiting:{x!}", "p:stats:{x!}")
    assert step.command[:6] == ("EVALSHA", REPLY.digest, 3, *keys)
    assert step.command[6:] == (7, 1000, 2000, "a", b"0", "b", b"1")


def test_a_send_to_a_group_carries_its_message_once(planner):
    [step] = planner.steps(to("*chat"))
    assert step.command[:4] == ("EVALSHA", SEND_GROUP.digest, 1, "p:group:{chat}")
    assert step.command[4:] == ("chat", b"0", "p:inbox:", 50, 2000)


def test_the_sends_that_a_full_channel_refused_are_the_last_ones(planner):
    [step] = planner.steps(to("a", "a", "a"))
    assert step.refused(3) == []
    assert step.refused(1) == step.envelopes[1:]
    assert step.refused(0) == step.envelopes


def test_the_sends_that_full_connections_refused_are_named_by_number(planner):
    [step] = planner.steps(to("x!a", "x!b", "x!c"))
    assert step.refused([]) == []
    assert step.refused([0, 2]) == [step.envelopes[0], step.envelopes[2]]


def test_a_group_refuses_nothing_and_names_its_plain_channels(planner):
    [step] = planner.steps(to("*chat"))
    assert step.refused([b"a", b"b"]) == []
    assert step.forwards([b"a", b"b"]) == [Envelope("a", b"0"), Envelope("b", b"0")]
    [plain] = planner.steps(to("a"))
    assert plain.forwards(1) == []


def test_the_keys_of_one_script_share_a_hash_slot():
    keys = Keys("p:")
    inbox = [keys.inbox("x!"), keys.waiting("x!"), keys.stats("x!"), keys.changed("x!")]
    inbox += [keys.members("chat", "x!"), keys.joined("x!")]
    assert {key[key.index("{") : key.index("}")] for key in inbox} == {"{x!"}
    assert keys.channel("a").partition("{")[2] == keys.stats("a").partition("{")[2] == "a}"


def test_every_script_opens_with_its_keys():
    for script in SCRIPTS:
        assert script.text.startswith("-- ")
        assert "(KEYS = {" in script.text.partition("\n\n")[0]
        assert len(script.digest) == 40


def test_channel_full_says_what_to_do():
    assert "add workers, raise its capacity, or send less" in str(ChannelFull())
