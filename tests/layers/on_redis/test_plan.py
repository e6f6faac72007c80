"""Sends become few commands, in an order that every destination can rely on."""

from __future__ import annotations

import msgpack
import pytest

from channels_classic.exceptions import ChannelFull
from channels_classic.layers.base import BaseChannelLayer
from channels_classic.layers.on_redis.plan import _MOST, Outcome, Planner, receipt
from channels_classic.layers.on_redis.wire import LATER, REPLY, SCRIPTS, SEND, SEND_GROUP, Keys
from channels_classic.layers.traffic import Envelope, lane_of


@pytest.fixture
def planner() -> Planner:
    layer = BaseChannelLayer(
        capacity=7,
        expiry=1,
        channel_expiry={"kept": None},
        channel_overflow={"news": "drop_oldest"},
        later_limit=9,
    )
    return Planner(Keys("p:"), layer, inbox_limit=50)


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
    steps = planner.steps(to(*["x!a"] * (2 * _MOST + 1)))
    assert [len(step.envelopes) for step in steps] == [_MOST, _MOST, 1]
    payloads = [int(envelope.payload) for step in steps for envelope in step.envelopes]
    assert payloads == sorted(payloads)


def test_a_plain_channel_has_counters_and_one_with_a_random_name_has_none(planner):
    plain, single = (step.command for step in planner.steps(to("a", "b?c")))
    assert plain[:5] == ("EVALSHA", SEND.digest, 2, "p:channel:{a}", "p:stats:{a}")
    assert plain[5:] == (7, 1000, 61_000, "refuse", 2, b"m", b"0")
    assert single[:4] == ("EVALSHA", SEND.digest, 1, "p:channel:{b?c}")


def test_a_reply_names_its_connection(planner):
    [step] = planner.steps(to("x!a", "x!b"))
    keys = ("p:inbox:{x!}", "p:waiting:{x!}", "p:stats:{x!}")
    assert step.command[:6] == ("EVALSHA", REPLY.digest, 3, *keys)
    assert step.command[6:] == (7, 4 * 1024**2, 1000, 61_000, "a", b"0", "b", b"1")


def test_a_send_to_a_group_carries_its_message_once(planner):
    [step] = planner.steps(to("*chat"))
    assert step.command[:4] == ("EVALSHA", SEND_GROUP.digest, 1, "p:group:{chat}")
    assert step.command[4:] == ("chat", b"0", "p:inbox:", "p:stats:", 50, 61_000)


def test_the_sends_that_a_full_channel_refused_are_the_last_ones(planner):
    [step] = planner.steps(to("a", "a", "a"))
    assert step.outcome(3) == Outcome([], [])
    assert step.outcome(1) == Outcome(step.envelopes[1:], [])
    assert step.outcome(0) == Outcome(step.envelopes, [])


def test_the_sends_that_full_connections_refused_are_named_by_number(planner):
    [step] = planner.steps(to("x!a", "x!b", "x!c"))
    assert step.outcome([]) == Outcome([], [])
    assert step.outcome([0, 2]) == Outcome([step.envelopes[0], step.envelopes[2]], [])


def test_a_group_refuses_nothing_and_names_its_plain_channels(planner):
    [step] = planner.steps(to("*chat"))
    more = [Envelope("a", b"0"), Envelope("b", b"0")]
    assert step.outcome([b"a", b"b"]) == Outcome([], more, missed=[])


def test_the_lanes_of_messages_that_were_removed_for_others_hear_that_they_are_lost(planner):
    [step] = planner.steps(to("a", "a"))
    told = [Envelope("x!=1", b"7 lost"), Envelope("y!=2", b"0 lost")]
    reply = [1, 2, 1, b"x!1 7", b"y!2 0", b"nonsense"]
    assert step.outcome(reply) == Outcome(step.envelopes[1:], told, 2, 1)


def test_the_processes_that_missed_a_message_to_a_group_are_named(planner):
    [step] = planner.steps(to("*chat"))
    assert step.outcome([b"a", b"p!"]) == Outcome([], [Envelope("a", b"0")], missed=["p!"])


def test_a_message_carries_its_lane_and_its_attempts(planner):
    [step] = planner.steps([Envelope("a", b"0", lane="x!1 7", attempts=2, crashes=1)])
    fields = (8, b"m", b"0", b"r", "x!1 7", b"a", 2, b"c", 1)
    assert step.command[-9:] == fields


def test_a_message_that_is_tried_again_asks_for_no_room(planner):
    steps = planner.steps([Envelope("a", b"0"), Envelope("a", b"1", attempts=1)])
    assert [step.command[5] for step in steps] == [7, 2**40]


def test_a_delayed_message_waits_apart(planner):
    steps = planner.steps([Envelope("a", b"0", delay=1.5), Envelope("a", b"1")])
    assert [step.command[1] for step in steps] == [LATER.digest, SEND.digest]
    assert steps[0].command[3:7] == ("p:later:{a}", "p:stats:{a}", 9, 1500)
    entry = msgpack.unpackb(steps[0].command[7], raw=True)
    assert entry[1:] == [b"m", b"0"]


def test_a_delayed_reply_waits_for_its_process(planner):
    [step] = planner.steps([Envelope("x!a", b"0", delay=1)])
    assert step.command[3] == "p:later:{x!}"
    assert msgpack.unpackb(step.command[7], raw=True)[1:] == [b"!a", b"0"]


def test_a_channel_without_expiry_lives_for_ever(planner):
    [step] = planner.steps(to("kept"))
    assert step.command[5:9] == (7, 0, 0, "refuse")


def test_a_channel_may_drop_its_oldest(planner):
    [step] = planner.steps(to("news"))
    assert step.command[8] == "drop_oldest"


@pytest.mark.parametrize(
    ("lane", "sends"),
    [
        (lane_of("x!1", 7), [Envelope("x!=1", b"7")]),
        ("", []),
        ("x!1", []),
        ("x 7", []),
        ("x!1 seven", []),
        ("x!1 " + "9" * 20, []),
    ],
)
def test_a_receipt_goes_to_the_connection_of_a_lane(lane, sends):
    assert receipt(lane) == sends


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
