"""ViewConsumer: replies to a reply channel that may be full."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.core.handlers.base import BaseHandler
from django.core.signals import request_finished
from django.http import HttpResponse, StreamingHttpResponse

from channels_classic import outbox
from channels_classic.handler import AsgiHandler, ViewConsumer
from channels_classic.layers.memory import InMemoryChannelLayer
from tests.handler.site import INBOX, REPLY, Clock, ReplyChannel, body_of, hello, message


@pytest.fixture
def consume(set_view):
    """Run a view through a ``ViewConsumer`` that replies to ``channel``."""

    def run(function, channel, consumer=ViewConsumer, capacity=100):
        set_view(function)
        channel.channel_layer = InMemoryChannelLayer(capacity=capacity)
        source = message()
        source.reply_channel = channel
        consumer()(source)

    return run


def stream(*parts):
    return lambda request: StreamingHttpResponse(parts)


def test_a_consumer_sends_the_reply_to_the_reply_channel(set_view, layer):
    set_view(hello)
    ViewConsumer()(message(layer))
    name, reply = layer.receive([INBOX])
    assert (name, reply["status"], reply["content"]) == (REPLY, 200, b"hello")


def test_a_consumer_runs_the_handler_class_it_names(consume):
    class OwnHandler(AsgiHandler):
        chunk_size = 2

    class OwnConsumer(ViewConsumer):
        handler_class = OwnHandler

    channel = ReplyChannel()
    consume(hello, channel, OwnConsumer)
    assert [content["content"] for content, _ in channel.sent] == [b"he", b"ll", b"o"]


def test_the_last_reply_is_held_back_for_the_next_round_trip(set_view, layer):
    set_view(stream(b"one", b"two"))
    with outbox.holding() as held:
        ViewConsumer()(message(layer))
        assert len(held.sends) == 1
    assert layer.receive([INBOX])[1]["content"] == b"one"
    assert layer.receive([INBOX])[1]["content"] == b"two"
    assert layer.receive([INBOX]) == (None, None)
    held.flush()
    assert layer.receive([INBOX]) == (REPLY, {"more_content": False})


def test_all_replies_but_the_last_go_at_once(consume):
    channel = ReplyChannel()
    consume(stream(b"one", b"two"), channel)
    assert [immediately for _, immediately in channel.sent] == [True, True, False]


def test_a_short_response_is_held_back(consume):
    channel = ReplyChannel()
    consume(hello, channel)
    assert [immediately for _, immediately in channel.sent] == [False]


def test_the_last_reply_waits_for_room_when_it_might_not_find_any(consume, monkeypatch):
    """Held back, it would be dropped after the short time that a flush waits."""
    clock = Clock(monkeypatch)
    channel = ReplyChannel(lambda: len(channel.sent) == 2 and clock.now < 60)
    consume(stream(b"one", b"two"), channel, capacity=2)
    assert channel.sent[-1] == ({"more_content": False}, True)
    assert 60 <= clock.now < 61


def test_a_part_of_a_stream_does_not_wait_for_the_next(consume):
    channel = ReplyChannel()
    sent_when_next_was_made = []

    def parts():
        yield b"one"
        sent_when_next_was_made.append(len(channel.sent))
        yield b"two"

    consume(lambda request: StreamingHttpResponse(parts()), channel)
    assert sent_when_next_was_made == [1]


def test_a_full_reply_channel_is_tried_again_with_growing_pauses(consume, monkeypatch):
    clock = Clock(monkeypatch)
    channel = ReplyChannel(lambda: clock.now < 2)
    consume(stream(b"one"), channel)
    assert clock.pauses == [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.5, 0.5, 0.5]
    assert [content.get("content") for content, _ in channel.sent] == [b"one", None]


def test_a_reply_channel_that_stays_full_is_given_up(consume, monkeypatch, caplog, heard):
    """Weakness 20: it was tried for ever."""
    clock = Clock(monkeypatch)
    finished = heard(request_finished)
    channel = ReplyChannel(lambda: True)
    consume(stream(b"one"), channel)
    assert 120 <= clock.now < 121
    assert channel.sent == []
    assert f"Gave up the response to /: {REPLY} was full for 120 s." in caplog.text
    assert [record.name for record in caplog.records] == ["channels_classic.handler"]
    assert finished


def test_a_slow_client_has_time_as_long_as_it_makes_progress(consume, monkeypatch):
    """Each reply waits 100 of the 120 seconds: all 300 are granted."""
    clock = Clock(monkeypatch)
    channel = ReplyChannel(lambda: clock.now < 100 * (len(channel.sent) + 1))
    consume(stream(b"one", b"two"), channel, capacity=1)
    assert [content.get("content") for content, _ in channel.sent] == [b"one", b"two", None]
    assert clock.now >= 300


def test_the_rest_of_a_stream_is_not_made_for_a_client_that_is_gone(consume, monkeypatch):
    Clock(monkeypatch)
    made = []

    def parts():
        for number in range(10):
            made.append(number)
            yield b"x"

    channel = ReplyChannel(lambda: len(channel.sent) == 2)
    consume(lambda request: StreamingHttpResponse(parts()), channel)
    assert made == [0, 1, 2]


def test_a_long_stream_arrives_whole_through_a_small_channel(set_view):
    layer = InMemoryChannelLayer(capacity=2)
    parts = [b"%d," % number for number in range(50)]
    set_view(stream(*parts))
    consumer = threading.Thread(target=ViewConsumer(), args=[message(layer)])
    consumer.start()
    received: list[dict[str, Any]] = []
    while not received or received[-1]["more_content"]:
        name, reply = layer.receive([INBOX], block=True)
        assert name == REPLY
        received.append(reply)
    consumer.join()
    assert body_of(received) == b"".join(parts)


def test_nothing_is_sent_for_an_answer_that_comes_later(consume):
    def later(request):
        raise request.ResponseLater

    channel = ReplyChannel()
    consume(later, channel)
    assert channel.sent == []


def test_a_message_without_a_reply_channel_is_refused(set_view):
    set_view(hello)
    source = message()
    source.reply_channel = None
    with pytest.raises(ValueError, match="needs a reply_channel"):
        ViewConsumer()(source)


def test_every_reply_fits_the_smallest_limit_of_a_layer(consume):
    channel = ReplyChannel()
    consume(lambda request: HttpResponse(b"x" * 1024 * 1024), channel)
    limit = InMemoryChannelLayer(max_message_size=1024 * 1024)
    assert [len(content["content"]) for content, _ in channel.sent] == [AsgiHandler.chunk_size] * 8
    for content, _ in channel.sent:
        limit.send(REPLY, content)


def test_a_consumer_loads_the_middleware_of_the_site_once(set_view, monkeypatch):
    loads: list[AsgiHandler] = []

    def load(self: AsgiHandler) -> None:
        loads.append(self)
        BaseHandler.load_middleware(self)

    monkeypatch.setattr(AsgiHandler, "load_middleware", load)
    set_view(hello)
    consumer = ViewConsumer()
    consumer(message())
    consumer(message())
    assert loads == [consumer.handler]
