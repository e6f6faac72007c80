"""Nothing that a message or a consumer does ends a worker."""

from __future__ import annotations

import asyncio

import pytest

from channels_classic.channel import Channel, Group
from channels_classic.exceptions import (
    ChannelFull,
    DenyConnection,
    LayerUnavailable,
    WebsocketCloseException,
)
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.pace import Pace
from channels_classic.routing import route
from channels_classic.signals import consumer_finished, consumer_started, worker_ready
from tests.worker.site import (
    WORK,
    Odd,
    Site,
    Unfinished,
    report,
    survives,
    troubled,
    until,
)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError,
        SystemExit,
        KeyboardInterrupt,
        GeneratorExit,
        DenyConnection,
        WebsocketCloseException,
        Odd,
        Unfinished,
        ChannelFull,
        LayerUnavailable,
        asyncio.CancelledError,
    ],
)
def test_an_error_of_a_consumer_is_logged_and_the_worker_goes_on(memory_site, error, caplog):
    def consumer(message):
        if message["number"] == 1:
            raise error
        report(message)

    site = memory_site(consumer)
    with site.working():
        site.send(number=1)
        assert survives(site)
    assert f"Error in the consumer {__name__}." in caplog.text
    assert "of a message on work" in caplog.text


def test_what_was_sent_before_an_error_is_sent(site):
    def consumer(message):
        report(message, number=1)
        raise RuntimeError

    site = site(consumer)
    with site.working():
        site.send()
        assert site.received() == {"number": 1}


@pytest.mark.parametrize(
    "send",
    [
        lambda layer: Channel("not fine!!", channel_layer=layer).send({}),
        lambda layer: Channel("a b", channel_layer=layer).send({}),
        lambda layer: Group("not!fine", channel_layer=layer).send({}),
        lambda layer: Channel("fine", channel_layer=layer).send("no dict"),
        lambda layer: Channel("fine", channel_layer=layer).send({"key": object()}),
        lambda layer: Channel("fine", channel_layer=layer).send({"key": "x" * 2_000_000}),
    ],
)
def test_a_send_that_cannot_be_made_is_an_error_of_its_consumer_alone(memory_site, send, caplog):
    """Weakness 1: the worker died when it flushed the sends."""

    def consumer(message):
        if message["number"] == 1:
            send(message.channel_layer)
        report(message)

    site = memory_site(consumer)
    with site.working():
        site.send(number=1)
        assert survives(site)
    assert "Error in the consumer" in caplog.text


def test_a_reply_channel_of_another_form_is_an_error_of_its_consumer_alone(memory_site, caplog):
    def consumer(message):
        if message["number"] == 1:
            message.reply_channel.send({})
        report(message)

    site = memory_site(consumer)
    with site.working():
        site.send(number=1, reply_channel="not fine!!")
        assert survives(site)
    assert "Error in the consumer" in caplog.text


def test_a_target_that_stays_full_is_given_up_and_the_worker_goes_on(tight_layer, caplog):
    """Weakness 1 again: after two seconds the worker died."""

    def consumer(message):
        Channel("full", channel_layer=message.channel_layer).send({})
        report(message)

    site = Site(tight_layer, route(WORK, consumer))
    site.send("full")
    with site.working():
        site.send(number=1)
        assert site.received() == {"number": 1}
        until(lambda: "dropped" in caplog.text)
        until(lambda: site.statistic("full", "dropped_count") == 1)
    assert "full: 1 dropped (still full after" in caplog.text


def test_after_a_target_that_stayed_full_the_worker_goes_on(tight_layer, caplog):
    site = Site(tight_layer, route(WORK, lambda m: site.channel("full").send({})))
    site.send("full")
    with site.working():
        site.send()
        until(lambda: "dropped" in caplog.text)
        assert site.received("full") == {}
        site.send()
        assert site.received("full") == {}


def test_a_target_that_has_room_again_gets_its_message(tight_layer):
    site = Site(tight_layer, route(WORK, lambda m: site.channel("full").send({"number": 1})))
    site.send("full")
    with site.working():
        site.send()
        until(lambda: site.statistic("full", "channel_full_count") > 0)
        assert site.received("full") == {}
        assert site.received("full") == {"number": 1}


class BrokenFilter:
    """A routing entry of a project's own, which fails."""

    def match(self, message):
        if message.get("number") == 1:
            raise RuntimeError("broken filter")

    def channel_names(self):
        return {WORK}


def test_a_filter_that_fails_costs_its_message_alone(caplog):
    site = Site(InMemoryChannelLayer(), BrokenFilter(), route(WORK, report))
    with site.working():
        site.send(number=1)
        assert survives(site)
    assert "Could not match a message on work: dropped" in caplog.text


@pytest.mark.parametrize("value", [5, b"\xff\xfe", None, {"a": 1}, [1]])
def test_a_filter_takes_any_value(value):
    """Weakness 1: a filter on an int, or on bytes that are no text, ended the worker."""
    site = Site(InMemoryChannelLayer(), route(WORK, report, key="^odd$"), route("next", report))
    with site.working():
        site.send(key=value)
        site.send("next", number=1)
        assert site.received() == {"number": 1}


def test_a_message_that_no_route_matches_is_logged_and_dropped(caplog):
    site = Site(InMemoryChannelLayer(), route(WORK, report, path="^/known$"))
    with site.working():
        site.send(path="/unknown")
        site.send(path="/known")
        assert site.received() == {"path": "/known"}
    assert "No route matches a message on work (path '/unknown'): dropped" in caplog.text


@pytest.mark.parametrize("signal", [consumer_started, consumer_finished])
def test_a_receiver_of_a_signal_that_fails_does_no_harm(memory_site, signal, caplog):
    def receiver(**kwargs):
        raise RuntimeError("broken receiver")

    signal.connect(receiver)
    site = memory_site(report)
    try:
        with site.working():
            assert survives(site)
            assert survives(site)
    finally:
        signal.disconnect(receiver)
    assert "broken receiver" in caplog.text


def test_a_receiver_of_worker_ready_that_fails_does_no_harm(memory_site, caplog):
    def receiver(**kwargs):
        raise RuntimeError("broken receiver")

    worker_ready.connect(receiver)
    try:
        memory_site(report).worker.ready()
    finally:
        worker_ready.disconnect(receiver)
    assert "broken receiver" in caplog.text


def test_a_callback_that_fails_costs_its_message_alone(memory_site, monkeypatch, caplog):
    def callback(channel, message):
        if message["number"] == 1:
            raise RuntimeError("broken callback")

    monkeypatch.setattr(Pace, "limit", 8)
    site = memory_site(report, callback=callback)
    for number in range(4):
        site.send(number=number)
    with site.working():
        assert [site.received()["number"] for _ in range(3)] == [0, 2, 3]
        until(lambda: site.statistic(WORK, "dead_count") == 1)
    assert "Error around a message on work" in caplog.text
    [letter] = site.layer.dead_letters()
    assert letter.content == {"number": 1}
    assert letter.error == "RuntimeError: broken callback"


def test_an_entry_that_is_no_message_is_passed_over(redis_layer, caplog):
    site = Site(redis_layer, route(WORK, report))
    key = redis_layer.shards[0].keys.channel(WORK)
    for fields in (("m", b"\xc1 junk"), ("other", "field"), ("m", b"\x05")):
        redis_layer.shards[0].call(("XADD", key, "*", *fields))
    with site.working():
        assert survives(site)
    assert site.pending(WORK) == 0


def test_a_mistake_of_the_layer_is_logged_and_the_worker_goes_on(memory_site, caplog):
    site = memory_site(report)
    errors = [RuntimeError("odd"), ValueError("odder")]

    def trouble(sends, carry_out):
        if errors:
            site.worker._stop.wait = lambda pause: None  # it would pause for a second
            raise errors.pop()
        return carry_out()

    troubled(site.layer, trouble)
    with site.working():
        assert survives(site)
    assert caplog.text.count("Error in the worker's loop") == 2
