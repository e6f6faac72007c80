"""Sends held back until the consumer ends, then flushed with a deadline."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from channels_classic import outbox
from channels_classic.exceptions import (
    InvalidContent,
    InvalidName,
    LayerUnavailable,
    MessageTooLarge,
)
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.outbox import Outbox, current, deliver, deliver_async, holding, pending


class Refusing(InMemoryChannelLayer):
    """Refuses what is delivered so many times, in vain or not."""

    def __init__(self, times):
        super().__init__()
        self.times = times
        self.tries = 0

    def deliver(self, envelopes):
        self.tries += 1
        if self.tries <= self.times:
            return list(envelopes)
        return super().deliver(envelopes)


def flushed(box, *, on_a_loop, **options):
    """Flush ``box`` in one of the two ways."""
    asyncio.run(box.flush_async()) if on_a_loop else box.flush(**options)


both_ways = pytest.mark.parametrize("on_a_loop", [False, True])


def contents(layer, channel):
    found = []
    while (received := layer.receive([channel]))[0] is not None:
        found.append(received[1])
    return found


@pytest.fixture
def memory():
    return InMemoryChannelLayer()


# Whether the reply channel is answered ----------------------------------------------------------


def test_a_send_to_the_reply_channel_is_an_answer(memory):
    with holding("answers?1") as box:
        box.add(memory, "other", {})
        assert not box.answered
        box.add(memory, "answers?1", {})
    assert box.answered


def test_an_answer_that_is_discarded_is_none(memory):
    with holding("answers?1") as box:
        box.add(memory, "answers?1", {})
    box.discard()
    assert not box.answered


def test_a_send_that_is_made_at_once_is_an_answer_and_stays_one():
    with holding("answers?1") as box:
        assert pending("other", immediately=True) is None
        assert not box.answered
        assert pending("answers?1", immediately=True) is None
    box.discard()
    assert box.answered


def test_where_a_send_is_held_back_it_is_no_answer_yet():
    with holding("answers?1") as box:
        assert pending("answers?1", immediately=False) is box
    assert not box.answered


@pytest.mark.parametrize("immediately", [True, False])
def test_outside_of_a_consumer_there_is_nothing_to_answer(immediately):
    assert pending("answers?1", immediately=immediately) is None


def test_without_a_reply_channel_nothing_is_an_answer(memory):
    with holding() as box:
        box.add(memory, "answers?1", {})
    assert not box.answered


# Holding back -----------------------------------------------------------------------------------


def test_nothing_is_held_back_outside_of_a_consumer():
    assert current() is None


def test_in_the_block_sends_are_held_back():
    with holding() as box:
        assert current() is box


def test_after_the_block_nothing_is_held_back():
    with holding():
        pass
    assert current() is None


def test_after_an_error_nothing_is_held_back():
    with pytest.raises(RuntimeError), holding():
        raise RuntimeError
    assert current() is None


def test_a_block_in_a_block_has_its_own_outbox():
    with holding() as outer, holding() as inner:
        assert current() is inner
    assert inner is not outer


def test_another_thread_is_not_held_back():
    found = []
    with holding():
        thread = threading.Thread(target=lambda: found.append(current()))
        thread.start()
        thread.join()
    assert found == [None]


def test_what_is_held_back_is_not_on_the_bus(memory):
    Outbox().add(memory, "channel", {"a": 1})
    assert contents(memory, "channel") == []


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("not fine!!", {}, InvalidName),
        ("channel", "no dict", InvalidContent),
        ("channel", {"a": object()}, InvalidContent),
        ("channel", {"a": "x" * 2_000_000}, MessageTooLarge),
    ],
)
def test_what_is_wrong_with_a_send_is_raised_where_it_is_written(memory, name, content, error):
    box = Outbox()
    with pytest.raises(error):
        box.add(memory, name, content)
    assert box.sends == []


def test_a_dict_that_is_changed_later_is_sent_as_it_was(memory):
    box, content = Outbox(), {"list": [1]}
    box.add(memory, "channel", content)
    content["list"].append(2)
    box.flush()
    assert contents(memory, "channel") == [{"list": [1]}]


# Taking out ---------------------------------------------------------------------------------------


def test_the_sends_for_a_layer_are_taken_out_in_order(memory):
    box, other = Outbox(), InMemoryChannelLayer()
    box.add(memory, "a", {})
    box.add(other, "b", {})
    box.add(memory, "c", {})
    assert [envelope.name for envelope in box.take(memory)] == ["a", "c"]
    assert [envelope.name for _, envelope in box.sends] == ["b"]


def test_what_is_taken_out_is_taken_once(memory):
    box = Outbox()
    box.add(memory, "a", {})
    box.take(memory)
    assert box.take(memory) == []


def test_what_is_discarded_is_not_sent(memory):
    box = Outbox()
    box.add(memory, "channel", {})
    box.discard()
    box.flush()
    assert contents(memory, "channel") == []


# Flushing -----------------------------------------------------------------------------------------


@both_ways
def test_a_flush_sends_in_order(memory, on_a_loop):
    box = Outbox()
    for number in range(5):
        box.add(memory, "channel", {"number": number})
    flushed(box, on_a_loop=on_a_loop)
    assert [content["number"] for content in contents(memory, "channel")] == list(range(5))


@both_ways
def test_a_flush_sends_to_groups(memory, on_a_loop):
    memory.group_add("group", "channel")
    box = Outbox()
    box.add(memory, "group", {"a": 1}, to_group=True)
    flushed(box, on_a_loop=on_a_loop)
    assert contents(memory, "channel") == [{"a": 1}]


@both_ways
def test_a_flush_sends_to_every_layer(memory, on_a_loop):
    other = InMemoryChannelLayer()
    box = Outbox()
    box.add(memory, "channel", {"layer": 1})
    box.add(other, "channel", {"layer": 2})
    flushed(box, on_a_loop=on_a_loop)
    assert contents(memory, "channel") == [{"layer": 1}]
    assert contents(other, "channel") == [{"layer": 2}]


@both_ways
def test_a_second_flush_sends_nothing(memory, on_a_loop):
    box = Outbox()
    box.add(memory, "channel", {})
    flushed(box, on_a_loop=on_a_loop)
    flushed(box, on_a_loop=on_a_loop)
    assert len(contents(memory, "channel")) == 1


@both_ways
def test_a_full_channel_is_waited_for(on_a_loop, caplog):
    layer = Refusing(times=3)
    box = Outbox()
    box.add(layer, "channel", {"a": 1})
    flushed(box, on_a_loop=on_a_loop)
    assert contents(layer, "channel") == [{"a": 1}]
    assert caplog.text == ""


@both_ways
def test_a_channel_that_stays_full_is_given_up_with_a_log_line(on_a_loop, caplog):
    layer = Refusing(times=10_000)
    envelopes = [layer.prepare("b", {}), layer.prepare("a", {}), layer.prepare("a", {})]
    if on_a_loop:
        asyncio.run(deliver_async(layer, envelopes, deadline=0.05))
    else:
        deliver(layer, envelopes, deadline=0.05)
    detail = "(still full after 0.1 s: add workers or raise its capacity)"
    assert caplog.messages == [f"b: 1 dropped {detail}", f"a: 2 dropped {detail}"]
    assert layer.channel_statistics("a")["dropped_count"] == 2
    assert layer.channel_statistics("b")["dropped_count"] == 1


def test_a_flush_has_a_deadline_of_its_own(caplog):
    layer = Refusing(times=10_000)
    box, took = Outbox(), []
    for _ in range(3):
        box.add(layer, "channel", {})
        began = time.monotonic()
        box.flush(deadline=0.05)
        took.append(time.monotonic() - began)
        assert box.sends == []
    assert min(took) < 1


def test_without_a_deadline_of_its_own_a_flush_waits_two_seconds():
    assert outbox.FLUSH_DEADLINE == 2


def test_only_what_was_refused_is_tried_again(memory):
    layer = InMemoryChannelLayer(channel_capacity={"full": 1})
    layer.send("full", {})
    deliver(layer, [layer.prepare("full", {}), layer.prepare("free", {"a": 1})], deadline=0.02)
    assert contents(layer, "free") == [{"a": 1}]
    assert len(contents(layer, "full")) == 1


@both_ways
def test_a_layer_that_is_away_is_the_callers_affair(memory, on_a_loop, monkeypatch):
    def away(envelopes):
        raise LayerUnavailable

    monkeypatch.setattr(memory, "deliver", away)
    box = Outbox()
    box.add(memory, "channel", {})
    with pytest.raises(LayerUnavailable):
        flushed(box, on_a_loop=on_a_loop)


def test_the_connections_of_a_process_are_counted_together(memory, caplog):
    outbox.give_up(memory, [memory.prepare(f"process!{n}", {}) for n in range(9)], waited=2)
    assert caplog.messages[0].startswith("process!: 9 dropped (still full after 2.0 s")
    assert memory.channel_statistics("process!")["dropped_count"] == 9


def test_a_layer_that_is_away_does_not_count_and_that_is_no_error(memory, monkeypatch, caplog):
    def away(*arguments):
        raise LayerUnavailable

    monkeypatch.setattr(memory, "count", away)
    outbox.give_up(memory, [memory.prepare("a", {})], waited=2)
    assert "a: 1 dropped" in caplog.text


def test_a_delayed_send_is_held_back_with_its_delay(memory):
    box = Outbox()
    box.add(memory, "channel", {}, delay=5)
    [envelope] = box.take(memory)
    assert envelope.delay == 5
