"""From the entries of an inbox to messages for connections."""

from __future__ import annotations

import pytest

from channels_classic.layers.codec import Codec
from channels_classic.layers.on_redis.fanout import Fanout
from channels_classic.layers.traffic import Arrival

codec = Codec(max_size=1000)
ONE, TWO = codec.encode({"n": 1}), codec.encode({"n": 2})


@pytest.fixture
def fanout() -> Fanout:
    return Fanout(codec)


def read(fanout: Fanout, *fields: bytes) -> list[Arrival]:
    return list(fanout.arrivals(fields))


def test_a_direct_message_is_for_one_connection(fanout):
    assert read(fanout, b"!a", ONE) == [Arrival(("a",), {"n": 1}, direct=True)]


def test_one_entry_may_hold_messages_for_many(fanout):
    arrivals = read(fanout, b"!a", ONE, b"!b", TWO, b"!a", TWO)
    assert [(each.locals, each.content["n"]) for each in arrivals] == [
        (("a",), 1),
        (("b",), 2),
        (("a",), 2),
    ]


def test_a_message_to_a_group_is_for_those_who_had_joined(fanout):
    assert read(fanout, b"*chat", ONE) == []
    read(fanout, b"+a", b"chat", b"+b", b"chat", b"+c", b"other")
    assert read(fanout, b"*chat", ONE) == [Arrival(("a", "b"), {"n": 1}, direct=False)]
    read(fanout, b"-a", b"chat")
    assert read(fanout, b"*chat", ONE) == [Arrival(("b",), {"n": 1}, direct=False)]
    read(fanout, b"-b", b"chat")
    assert read(fanout, b"*chat", ONE) == []


def test_what_was_delivered_does_not_change_with_later_joins(fanout):
    read(fanout, b"+a", b"chat")
    [arrival] = read(fanout, b"*chat", ONE)
    read(fanout, b"+b", b"chat")
    assert arrival.locals == ("a",)


def test_to_join_twice_is_to_join_once(fanout):
    read(fanout, b"+a", b"chat", b"+a", b"chat")
    assert read(fanout, b"*chat", ONE)[0].locals == ("a",)
    read(fanout, b"-a", b"chat", b"-a", b"chat", b"-x", b"nobody")
    assert read(fanout, b"*chat", ONE) == []


def test_a_connection_that_is_forgotten_leaves_all_its_groups(fanout):
    read(fanout, b"+a", b"one", b"+a", b"two", b"+b", b"two")
    assert sorted(fanout.forget("a")) == ["one", "two"]
    assert fanout.forget("a") == []
    assert fanout.groups == {b"two": {"b": None}}


def test_who_has_joined_is_told_once(fanout):
    read(fanout, b"+a", b"one", b"+b", b"two", b"-a", b"one")
    assert fanout.take_joined() == ["a", "b"]
    assert fanout.take_joined() == []


def test_nothing_is_kept_for_those_who_have_left(fanout):
    for number in range(100):
        local = b"%d" % number
        read(fanout, b"+" + local, b"chat", b"*chat", ONE, b"-" + local, b"chat")
    fanout.take_joined(), fanout.take_emptied(1)
    assert vars(fanout) == vars(Fanout(codec))


@pytest.mark.parametrize(
    "fields",
    [
        (b"!a", b"no message"),
        (b"?a", ONE),
        (b"", ONE),
        (b"!\xff", ONE),
        (b"+\xff", b"chat"),
        (b"+a", b"\xff"),
        (b"-\xff", b"chat"),
        (b"=a", b"many"),
        (b"=\xff", b"1"),
    ],
)
def test_a_field_that_is_no_message_is_noted_and_the_next_one_read(fanout, fields):
    assert read(fanout, *fields, b"!a", ONE) == [Arrival(("a",), {"n": 1})]
    assert len(fanout.unreadable) == 1
    assert fanout.forget("a") == []


def test_a_message_to_a_group_of_nobody_is_not_even_decoded(fanout, caplog):
    assert read(fanout, b"*chat", b"no message") == []
    assert caplog.text == ""


def test_whose_message_could_not_be_read_is_noted(fanout):
    read(fanout, b"!a", b"no message", b"!b", ONE, b"?", b"", b"!a", b"no message")
    assert [local for local, _ in fanout.unreadable] == ["a", "", "a"]


def test_a_receipt_is_handed_on():
    told = []
    fanout = Fanout(codec, lambda *receipt: told.append(receipt))
    assert read(fanout, b"=a", b"7", b"=b", b"12 lost") == []
    assert told == [("a", 7, False), ("b", 12, True)]


def test_a_group_without_members_here_is_named_once(fanout):
    read(fanout, b"+a", b"one", b"+a", b"two", b"-a", b"one", b"~a", b"never")
    assert fanout.take_emptied(9) == ["one"]
    assert fanout.take_emptied(9) == []


def test_a_group_that_has_members_again_is_not_named(fanout):
    read(fanout, b"+a", b"one", b"-a", b"one", b"+b", b"one")
    assert fanout.take_emptied(9) == []


def test_an_odd_field_at_the_end_is_left_out(fanout):
    assert read(fanout, b"!a", ONE, b"!b") == [Arrival(("a",), {"n": 1})]
