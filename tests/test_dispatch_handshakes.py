"""A handshake through its consumer: who may open a socket, and that none waits for nothing."""

from __future__ import annotations

import asyncio
import logging

import pytest
from django.db import close_old_connections

from channels_classic import dispatch, origins
from channels_classic.asgi import ChannelLayerWrapper
from channels_classic.dispatch import Match, run, run_async
from channels_classic.exceptions import ConsumeLater, DenyConnection
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.log import Sparingly
from channels_classic.message import Message
from channels_classic.signals import (
    connect_database_receivers,
    consumer_finished,
    consumer_started,
)

ACCEPTED = [("answers?1", {"accept": True})]
REFUSED = [("answers?1", {"close": True})]


@pytest.fixture(autouse=True)
def _no_database():
    """Nobody closes the database connections of other tests."""
    for signal in (consumer_started, consumer_finished):
        signal.disconnect(close_old_connections)
    yield
    connect_database_receivers()


@pytest.fixture
def wrapper(settings, monkeypatch):
    """A layer; nothing was logged sparingly just now."""
    settings.ALLOWED_HOSTS = ["example.com"]
    for each in (dispatch, origins):
        monkeypatch.setattr(each, "_say", Sparingly(logging.getLogger(each.__name__)))
    return ChannelLayerWrapper(InMemoryChannelLayer(), "default", [])


def message(wrapper, channel, **content):
    return Message({"reply_channel": "answers?1", "path": "/chat/", **content}, channel, wrapper)


@pytest.fixture
def handshake(wrapper):
    return message(wrapper, "websocket.connect")


def sends(result):
    """The names and contents that are held back."""
    codec = InMemoryChannelLayer()._codec
    return [(each.name, codec.decode(each.payload)) for _, each in result.outbox.sends]


def both_ways(message, consumer):
    """The sends of ``consumer`` as a function, and those of the same as a coroutine function."""

    async def async_consumer(message):
        consumer(message)

    results = (
        run(message, Match(consumer, {})),
        asyncio.run(run_async(message, Match(async_consumer, {}))),
    )
    return [sends(result) for result in results]


def accept(message):
    message.reply_channel.send({"accept": True})


def deny(message):
    raise DenyConnection


def ignore(message):
    pass


def at_once(message):
    message.reply_channel.send({"text": "hello"}, immediately=True)


async def at_once_async(message):
    await message.reply_channel.asend({"text": "hello"}, immediately=True)


# Who may open a socket ----------------------------------------------------------------------------


def test_a_page_of_another_site_is_refused_before_the_consumer_runs(handshake, caplog):
    """Weakness 10: there was no check of the origin."""
    handshake["headers"] = [(b"origin", b"https://evil.org")]

    def consumer(message):
        raise AssertionError("the consumer ran")

    assert both_ways(handshake, consumer) == [REFUSED, REFUSED]
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "'https://evil.org'" in caplog.text


def test_a_page_of_an_allowed_host_reaches_the_consumer(handshake):
    handshake["headers"] = [(b"origin", b"https://example.com")]
    assert both_ways(handshake, accept) == [ACCEPTED, ACCEPTED]


def test_the_origin_of_other_messages_is_no_matter(wrapper):
    request = message(wrapper, "http.request", headers=[(b"origin", b"https://evil.org")])
    assert both_ways(request, accept) == [ACCEPTED, ACCEPTED]


@pytest.mark.parametrize("headers", [5, [7], [(b"origin", 7)]])
def test_headers_of_no_known_form_open_nothing(handshake, headers):
    handshake["headers"] = headers
    assert both_ways(handshake, accept) == [REFUSED, REFUSED]


# That no socket waits for nothing -----------------------------------------------------------------


def test_a_socket_whose_consumer_fails_is_refused(handshake):
    """Weakness 28: it was left to wait until the handshake timed out."""

    def consumer(message):
        raise RuntimeError("broken consumer")

    assert both_ways(handshake, consumer) == [REFUSED, REFUSED]


def test_a_socket_that_was_answered_before_its_consumer_fails_stays_as_it_is(handshake):
    def consumer(message):
        accept(message)
        raise RuntimeError("broken consumer")

    assert both_ways(handshake, consumer) == [ACCEPTED, ACCEPTED]


def test_a_socket_that_was_answered_immediately_before_its_consumer_fails_stays_as_it_is(handshake):
    def consumer(message):
        message.reply_channel.send({"accept": True}, immediately=True)
        raise RuntimeError("broken consumer")

    assert both_ways(handshake, consumer) == [[], []]


def test_a_consumer_that_leaves_its_socket_without_an_answer_is_named(handshake, caplog):
    """Weakness 28 again. Others may answer it later, so it is not refused."""
    assert sends(run(handshake, Match(ignore, {}))) == []
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert record.message == (
        f"The consumer {__name__}.ignore of websocket.connect neither accepted nor closed the "
        "socket on '/chat/', which now waits until others answer it or its handshake times out. "
        'Let the consumer send {"accept": True} to message.reply_channel, or have all such '
        'sockets accepted: CHANNELS_CLASSIC = {"IMPLICIT_ACCEPT": True}'
    )


def test_a_consumer_that_leaves_many_sockets_without_an_answer_is_named_once(handshake, caplog):
    for _ in range(10):
        both_ways(handshake, ignore)
    assert len([text for text in caplog.messages if ".ignore of" in text]) == 1


def test_sockets_without_an_answer_are_accepted_if_the_project_says_so(handshake, settings, caplog):
    settings.CHANNELS_CLASSIC = {"IMPLICIT_ACCEPT": True}
    assert both_ways(handshake, ignore) == [ACCEPTED, ACCEPTED]
    assert caplog.text == ""


@pytest.mark.parametrize("implicit", [True, False])
@pytest.mark.parametrize(
    ("consumer", "sent"),
    [
        (accept, ACCEPTED),
        (deny, REFUSED),
        (lambda m: m.reply_channel.send({"text": "hi"}), [("answers?1", {"text": "hi"})]),
        (at_once, []),
    ],
)
def test_a_socket_that_was_answered_needs_nothing_more(
    handshake, settings, caplog, implicit, consumer, sent
):
    settings.CHANNELS_CLASSIC = {"IMPLICIT_ACCEPT": implicit}
    assert both_ways(handshake, consumer) == [sent, sent]
    assert caplog.text == ""


def test_a_socket_that_was_answered_at_once_by_async_code_needs_nothing_more(handshake, caplog):
    assert sends(asyncio.run(run_async(handshake, Match(at_once_async, {})))) == []
    assert caplog.text == ""


@pytest.mark.parametrize("implicit", [True, False])
def test_other_messages_need_no_answer(wrapper, settings, caplog, implicit):
    settings.CHANNELS_CLASSIC = {"IMPLICIT_ACCEPT": implicit}
    assert both_ways(message(wrapper, "websocket.receive"), ignore) == [[], []]
    assert caplog.text == ""


def test_a_handshake_without_a_reply_channel_cannot_be_answered(wrapper, settings, caplog):
    settings.CHANNELS_CLASSIC = {"IMPLICIT_ACCEPT": True}
    assert both_ways(Message({}, "websocket.connect", wrapper), ignore) == [[], []]


def test_a_consumer_that_asks_to_be_run_later_will_answer_then(handshake, settings, caplog):
    settings.CHANNELS_CLASSIC = {"IMPLICIT_ACCEPT": True}

    def consumer(message):
        raise ConsumeLater

    assert both_ways(handshake, consumer) == [[], []]
    assert caplog.text == ""
