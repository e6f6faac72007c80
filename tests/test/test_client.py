"""Client: consumers run in the test as they run in a worker."""

from __future__ import annotations

import asyncio
import threading

import pytest
from asgiref.sync import sync_to_async
from django.db import connection

from channels_classic.asgi import channel_layers
from channels_classic.channel import Channel, Group
from channels_classic.exceptions import ChannelFull, ConsumeLater, TimeLimitExceeded
from channels_classic.routing import route
from channels_classic.signals import consumer_finished, consumer_started
from channels_classic.test import Client, apply_routes
from channels_classic.test.recording import fresh_layers

pytestmark = pytest.mark.usefixtures("site")


@pytest.fixture
def client():
    return Client()


def test_its_reply_channel_is_its_alias_and_five_letters(client):
    assert client.reply_channel[:7] == "default"
    assert len(client.reply_channel) == 12
    assert client.reply_channel != Client().reply_channel


def test_a_message_is_sent_with_the_reply_channel(client):
    client.send("anywhere", {"key": "value"})
    message = client.get_next_message("anywhere")
    assert message.content == {"key": "value", "reply_channel": client.reply_channel}
    assert message.channel.name == "anywhere"


def test_the_content_of_the_caller_is_left_alone(client):
    content = {"key": "value"}
    client.send("anywhere", content)
    assert content == {"key": "value"}


def test_no_message_is_none(client):
    assert client.get_next_message("anywhere") is None
    assert client.receive() is None


def test_consume_returns_what_the_consumer_returned(client):
    assert client.send_and_consume("returns") == "what it returned"


@pytest.mark.django_db(transaction=True)
def test_the_database_connection_of_the_test_stays_open(client, monkeypatch):
    """A worker closes one that is past its age; the test goes on with it."""
    closed = []
    connection.ensure_connection()
    monkeypatch.setattr(connection, "close_if_unusable_or_obsolete", lambda: closed.append(1))
    client.send_and_consume("returns")
    assert not closed
    consumer_finished.send(sender=None)
    assert closed


def test_the_answer_is_received(client):
    client.send_and_consume("websocket.receive", {"text": "hello"})
    assert client.receive() == {"text": "hello"}


def test_a_send_to_a_group_reaches_those_who_joined(client):
    client.join_group("news")
    Group("news").send({"text": "hello"})
    assert client.receive() == {"text": "hello"}


def test_the_consumer_of_a_channel_can_be_looked_up(client, site):
    assert client.get_consumer_by_channel("websocket.receive") is site.echo
    assert client.get_consumer_by_channel("nowhere") is None


def test_consume_without_a_message_is_an_error_unless_asked_otherwise(client):
    with pytest.raises(AssertionError, match="no message on returns"):
        client.consume("returns")
    assert client.consume("returns", fail_on_none=False) is None


def test_consume_without_a_route_is_an_error_that_names_those_there_are(client):
    client.send("nowhere", {"path": "/here/"})
    with pytest.raises(AssertionError, match=r"nowhere.*'/here/'.*websocket.receive"):
        client.consume("nowhere")
    assert client.send_and_consume("nowhere", fail_on_none=False) is None


def test_the_exception_of_a_consumer_comes_out_with_its_traceback(client):
    with pytest.raises(LookupError, match="a mistake in the consumer") as raised:
        client.send_and_consume("fails")
    assert raised.traceback[-1].name == "fails"


def test_what_a_failed_consumer_sent_before_is_sent_as_by_a_worker(client):
    with pytest.raises(LookupError):
        client.send_and_consume("fails")
    assert client.receive() == {"text": "sent before the error"}


def test_an_error_in_a_filter_comes_out(client):
    class Broken:
        def match(self, message):
            raise LookupError("a mistake in the filter")

        def channel_names(self):
            return ["broken"]

    with apply_routes([Broken()]), pytest.raises(LookupError, match="in the filter"):
        client.send_and_consume("broken")


# Weakness 23 --------------------------------------------------------------------------------


def test_weakness_23_a_denied_connection_is_answered(client):
    with apply_routes(route("websocket.connect", "tests.test.consumers.denies")):
        assert client.send_and_consume("websocket.connect") is None
    assert client.receive() == {"close": True}


def test_a_closed_socket_is_answered(client):
    assert client.send_and_consume("closes") is None
    assert client.receive() == {"close": 4001}


def test_weakness_23_a_consumer_that_asks_to_be_run_later_is_run_again(client, site):
    client.send_and_consume("third-time-lucky")
    assert site.runs == [(0, False), (1, False), (2, False)]
    assert client.receive() == {"text": "run 3"}  # and only what the last run sent
    assert client.receive() is None


def test_weakness_23_a_consumer_that_is_never_ready_is_given_up_after_eleven_runs(client, site):
    with pytest.raises(ConsumeLater) as raised:
        client.send_and_consume("never-ready")
    assert site.runs == [False] * 10 + [True]
    assert "never-ready asked to be run later" in raised.value.__notes__[0]
    assert client.receive() is None


def test_a_socket_whose_connect_is_given_up_is_refused_as_by_a_worker(client):
    with (
        apply_routes(route("websocket.connect", "tests.test.consumers.never_ready")),
        pytest.raises(ConsumeLater),
    ):
        client.send_and_consume("websocket.connect")
    assert client.receive() == {"close": True}


# As in a worker -------------------------------------------------------------------------------


def test_sends_are_held_back_until_the_consumer_has_ended(client):
    seen = []

    def consumer(message):
        message.reply_channel.send({"text": "hello"})
        seen.append(client.receive())

    with apply_routes(route("work", consumer)):
        client.send_and_consume("work")
    assert seen == [None]
    assert client.receive() == {"text": "hello"}


def test_a_send_that_is_made_immediately_is_not_held_back(client):
    seen = []

    def consumer(message):
        message.reply_channel.send({"text": "hello"}, immediately=True)
        seen.append(client.receive())

    with apply_routes(route("work", consumer)):
        client.send_and_consume("work")
    assert seen == [{"text": "hello"}]


@pytest.mark.parametrize("channel", ["returns", "async-echo"])
def test_the_signals_of_consumers_are_sent(client, channel):
    heard = []

    def started(**kwargs):
        heard.append(("started", kwargs["sender"]))

    def finished(**kwargs):
        heard.append(("finished", kwargs["sender"]))

    consumer_started.connect(started)
    consumer_finished.connect(finished)
    try:
        client.send_and_consume(channel, {"text": ""})
    finally:
        consumer_started.disconnect(started)
        consumer_finished.disconnect(finished)
    assert heard == [("started", Client), ("finished", Client)]


def test_a_failure_that_would_be_tried_again_sends_nothing_yet(client, site):
    with pytest.raises(LookupError):
        client.send_and_consume("tried-again", {"number": 1})
    assert site.runs == [1]
    assert client.receive() is None


def test_the_time_limit_of_a_consumer_is_kept(client):
    with pytest.raises(TimeLimitExceeded):
        client.send_and_consume("too-slow")


def test_a_failed_view_is_answered_as_by_a_worker(client):
    with (
        apply_routes(route("http.request", "tests.test.consumers.fails")),
        pytest.raises(LookupError),
    ):
        client.send_and_consume("http.request")
    assert client.receive() == {"text": "sent before the error"}
    assert client.receive()["status"] == 500


def test_a_send_to_a_full_channel_fails_at_once_and_names_it(client):
    def consumer(message):
        Channel("other").send({})
        Channel("full").send({})
        Channel("full").send({})

    with (
        fresh_layers(["default"], channel_capacity={"full": 1}),
        apply_routes(route("work", consumer)),
        pytest.raises(ChannelFull, match=r"^full: full\."),
    ):
        client.send_and_consume("work")


# Async ----------------------------------------------------------------------------------------


def test_an_async_consumer_needs_no_event_loop_of_the_caller(client):
    assert client.send_and_consume("async-echo", {"text": "hello"}) == "what it returned"
    assert client.receive() == {"text": "hello"}


def test_sync_code_of_an_async_consumer_runs_in_the_thread_of_the_test(client):
    """Where its database connection and its transaction are."""
    threads = []

    async def consumer(message):
        threads.append(await sync_to_async(threading.current_thread)())

    with apply_routes(route("work", consumer)):
        client.send_and_consume("work")
    assert threads == [threading.current_thread()]


def test_the_exception_of_an_async_consumer_comes_out(client):
    async def consumer(message):
        message.reply_channel.send({"text": "before"})
        raise LookupError("a mistake")

    with apply_routes(route("work", consumer)), pytest.raises(LookupError, match="a mistake"):
        client.send_and_consume("work")
    assert client.receive() == {"text": "before"}


def test_an_async_test_uses_it_through_sync_to_async(client):
    async def test():
        await sync_to_async(client.send_and_consume)("async-echo", {"text": "hello"})
        return await sync_to_async(client.receive)()

    assert asyncio.run(test()) == {"text": "hello"}


# Several layers -------------------------------------------------------------------------------


def test_a_client_of_another_layer_uses_that_one(settings):
    settings.CHANNEL_LAYERS = {
        alias: {
            "BACKEND": "channels_classic.layers.memory.InMemoryChannelLayer",
            "ROUTING": {"work": "tests.test.consumers.returns"},
        }
        for alias in ("default", "second")
    }
    client = Client(alias="second")
    assert client.reply_channel.startswith("second")
    client.send("work", {})
    assert channel_layers["default"].receive(["work"]) == (None, None)
    assert client.consume("work") == "what it returned"
