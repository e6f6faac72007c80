"""One message through one consumer: match, run, outcome."""

from __future__ import annotations

import asyncio
import functools
import logging

import pytest
from django.db import close_old_connections

from channels_classic import outbox
from channels_classic.asgi import ChannelLayerWrapper
from channels_classic.channel import Channel
from channels_classic.dispatch import Match, dispatch, find, run, run_async
from channels_classic.exceptions import (
    ChannelSocketException,
    ConsumeLater,
    DenyConnection,
    WebsocketCloseException,
)
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.message import Message
from channels_classic.policy import Outcome
from channels_classic.routing import Router, include, route
from channels_classic.signals import (
    connect_database_receivers,
    consumer_finished,
    consumer_started,
)
from channels_classic.utils import name_that_thing


@pytest.fixture(autouse=True)
def _no_database():
    """Nobody closes the database connections of other tests."""
    for signal in (consumer_started, consumer_finished):
        signal.disconnect(close_old_connections)
    yield
    connect_database_receivers()


@pytest.fixture
def wrapper():
    return ChannelLayerWrapper(InMemoryChannelLayer(), "default", [])


@pytest.fixture
def message(wrapper):
    return Message({"reply_channel": "answers?1", "path": "/page"}, "work", wrapper)


def sends(box):
    """The names and contents that are held back in ``box``."""
    layer = InMemoryChannelLayer()
    return [(envelope.name, layer._codec.decode(envelope.payload)) for _, envelope in box.sends]


def dispatched(message, consumer, **filters):
    return dispatch(message, Router([route(message.channel_name, consumer, **filters)]))


def dispatched_async(message, consumer):
    return asyncio.run(run_async(message, Match(consumer, {})))


async def async_consumer(message):
    pass


# Finding the consumer ---------------------------------------------------------------------------


def test_a_match_is_the_consumer_and_what_its_route_captured(message):
    def consumer(message, name):
        pass

    match = find(message, Router([route("work", consumer, path=r"^/(?P<name>\w+)")]))
    assert match == Match(consumer, {"name": "page"})


def test_an_unrouted_message_is_logged_with_what_is_routed(message, caplog):
    assert find(message, Router([route("other", async_consumer)])) is None
    assert caplog.messages == [
        "No route matches a message on work (path '/page'): dropped. Routed channels: other"
    ]


def test_the_routes_whose_filters_do_not_fit_are_in_the_log(message, caplog):
    """A path without its slash, or an include that took the slash, are easily overlooked."""
    missed = [route("work", async_consumer, path="^page"), include([], path="^/never")]
    assert find(message, Router([*missed, route("other", async_consumer)])) is None
    [text] = caplog.messages
    assert text == (
        "No route matches a message on work (path '/page'): dropped. Tried, and their filters do "
        f"not fit: route(['work'], {__name__}.async_consumer, path='^page')"
    )


def test_a_filter_that_fails_is_logged_and_matches_nothing(message, caplog):
    class Broken:
        def match(self, message):
            raise RuntimeError("broken filter")

        def channel_names(self):
            return {"work"}

    assert find(message, Router([Broken()])) is None
    assert "Could not match a message on work: dropped" in caplog.text
    assert "broken filter" in caplog.text


class AsyncCall:
    async def __call__(self, message):
        pass

    async def method(self, message):
        pass


class SyncCall:
    def __call__(self, message):
        pass


@pytest.mark.parametrize(
    "consumer",
    [
        async_consumer,
        AsyncCall(),
        AsyncCall().method,
        functools.partial(async_consumer),
    ],
)
def test_an_async_consumer_is_known_as_one(consumer):
    assert Match(consumer, {}).is_async


@pytest.mark.parametrize(
    "consumer", [lambda message: None, SyncCall(), SyncCall, AsyncCall, dict, print]
)
def test_any_other_consumer_is_not_async(consumer):
    """A class is one too: making an instance of it is all that is done."""
    assert not Match(consumer, {}).is_async


# Running it -------------------------------------------------------------------------------------


def test_a_consumer_that_returns_is_done(message):
    outcome, box, _ = dispatched(message, lambda message: None)
    assert (outcome, box.sends) == (Outcome.DONE, [])


def test_a_consumer_gets_the_message_and_the_captured_arguments(message):
    got = []
    dispatched(message, lambda *args, **kwargs: got.append((args, kwargs)), path="^/(?P<a>.)")
    assert got == [((message,), {"a": "p"})]


def test_an_unrouted_message_is_unrouted(message):
    outcome, box, _ = dispatch(message, Router([]))
    assert (outcome, box.sends) == (Outcome.UNROUTED, [])


def test_sends_are_held_back_for_the_caller(message, wrapper):
    def consumer(message):
        message.reply_channel.send({"number": 1})
        Channel("next", channel_layer=wrapper).send({"number": 2})

    _, box, _ = dispatched(message, consumer)
    assert sends(box) == [("answers?1", {"number": 1}), ("next", {"number": 2})]
    assert wrapper.receive(["answers?1", "next"]) == (None, None)


def test_after_a_consumer_sends_are_made_at_once_again(message, wrapper):
    dispatched(message, lambda message: None)
    assert outbox.current() is None


def test_a_consumer_that_fails_has_failed_and_its_sends_are_kept(message, caplog):
    def consumer(message):
        message.reply_channel.send({"number": 1})
        raise RuntimeError("broken consumer")

    outcome, box, error = dispatched(message, consumer)
    assert outcome is Outcome.FAILED
    assert error.args == ("broken consumer",)
    assert sends(box) == [("answers?1", {"number": 1})]


def test_an_error_is_logged_with_consumer_channel_and_traceback(message, caplog):
    def consumer(message):
        raise RuntimeError("broken consumer")

    dispatched(message, consumer)
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage() == (
        f"Error in the consumer {__name__}."
        "test_an_error_is_logged_with_consumer_channel_and_traceback.<locals>.consumer "
        "of a message on work: RuntimeError('broken consumer')"
    )
    assert record.exc_info[1].args == ("broken consumer",)


def test_a_consumer_that_does_not_take_what_is_captured_is_named_with_its_route(caplog):
    """The system check E011 says so too, but a worker may run without checks."""

    def consumer(message):
        pass

    routing = [include([route("work", consumer)], path="^/(?P<room>.+)")]
    wrapper = ChannelLayerWrapper(InMemoryChannelLayer(), "default", routing)
    dispatch(Message({"path": "/lobby"}, "work", wrapper), wrapper.router)
    name = name_that_thing(consumer)
    assert caplog.messages[0].startswith(f"Error in the consumer {name} of a message on work: ")
    assert "TypeError(" in caplog.messages[0]
    assert (
        f". The consumer {name} does not fit route(['work'], {name}): got an unexpected keyword "
        "argument 'room' (it is called with the message, then each named group as a keyword "
        "argument)"
    ) in caplog.messages[0]


def test_another_type_error_of_a_consumer_says_nothing_of_routes(caplog):
    def consumer(message):
        raise TypeError("mine")

    wrapper = ChannelLayerWrapper(InMemoryChannelLayer(), "default", [route("work", consumer)])
    dispatch(Message({}, "work", wrapper), wrapper.router)
    assert caplog.messages[0].endswith("of a message on work: TypeError('mine')")


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_not_even_these_leave_dispatch(message, error):
    def consumer(message):
        raise error

    assert dispatched(message, consumer)[0] is Outcome.FAILED


def test_a_consumer_may_ask_to_be_run_later_and_has_sent_nothing_then(message, caplog):
    def consumer(message):
        message.reply_channel.send({"number": 1})
        raise ConsumeLater

    outcome, box, error = dispatched(message, consumer)
    assert (outcome, box.sends) == (Outcome.LATER, [])
    assert isinstance(error, ConsumeLater)
    assert caplog.text == ""


def test_an_http_request_whose_consumer_fails_is_answered_with_500(wrapper):
    """Else its client would wait until the timeout of the server."""

    def consumer(message):
        raise RuntimeError

    message = Message({"reply_channel": "answers?1"}, "http.request", wrapper)
    _, box, _ = dispatched(message, consumer)
    [(name, content)] = sends(box)
    assert (name, content["status"]) == ("answers?1", 500)


def test_a_request_with_a_reply_channel_that_is_none_is_an_error_like_others(wrapper, caplog):
    def consumer(message):
        raise RuntimeError

    message = Message({"reply_channel": "not fine!!"}, "http.request", wrapper)
    outcome, box, _ = dispatched(message, consumer)
    assert (outcome, box.sends) == (Outcome.FAILED, [])


@pytest.mark.parametrize(
    ("error", "channel", "answer"),
    [
        (DenyConnection, "websocket.connect", {"close": True}),
        (WebsocketCloseException, "websocket.receive", {"close": True}),
        (lambda: WebsocketCloseException(4000), "websocket.receive", {"close": 4000}),
    ],
)
def test_an_exception_may_speak_to_the_socket(wrapper, error, channel, answer):
    def consumer(message):
        raise error()

    message = Message({"reply_channel": "answers?1"}, channel, wrapper)
    outcome, box, _ = dispatched(message, consumer)
    assert (outcome, sends(box)) == (Outcome.DONE, [("answers?1", answer)])


class Odd(ChannelSocketException):
    def run(self, message):
        raise SystemExit("odd")


@pytest.mark.parametrize("error", [DenyConnection, Odd, ChannelSocketException])
def test_an_exception_that_cannot_speak_to_the_socket_is_a_failure(message, error, caplog):
    def consumer(message):
        raise error

    assert dispatched(message, consumer)[0] is Outcome.FAILED
    assert "Error in the consumer" in caplog.text


def test_signals_are_sent_around_the_consumer(message):
    order = []

    def started(sender, environ, **kwargs):
        order.append(("started", sender, environ))

    def finished(sender, **kwargs):
        order.append(("finished", sender))

    consumer_started.connect(started)
    consumer_finished.connect(finished)
    try:
        run(message, Match(lambda message: order.append("consumer"), {}), sender="a worker")
    finally:
        consumer_started.disconnect(started)
        consumer_finished.disconnect(finished)
    assert order == [("started", "a worker", {}), "consumer", ("finished", "a worker")]


# Running an async one -----------------------------------------------------------------------------


def test_an_async_consumer_that_returns_is_done(message):
    outcome, box, _ = dispatched_async(message, async_consumer)
    assert (outcome, box.sends) == (Outcome.DONE, [])


def test_sends_of_an_async_consumer_are_held_back_too(message):
    async def consumer(message):
        await asyncio.sleep(0)
        message.reply_channel.send({"number": 1})

    _, box, _ = dispatched_async(message, consumer)
    assert sends(box) == [("answers?1", {"number": 1})]


def test_async_consumers_hold_back_each_its_own_sends(wrapper):
    async def consumer(message):
        message.reply_channel.send({"number": 1})
        await asyncio.sleep(0)
        message.reply_channel.send({"number": 2})

    async def both():
        messages = [Message({"reply_channel": f"answers?{n}"}, "work", wrapper) for n in "ab"]
        return await asyncio.gather(*(run_async(m, Match(consumer, {})) for m in messages))

    found = [[name for name, _ in sends(box)] for _, box, _ in asyncio.run(both())]
    assert found == [["answers?a"] * 2, ["answers?b"] * 2]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (ConsumeLater, Outcome.LATER),
        (RuntimeError, Outcome.FAILED),
        (SystemExit, Outcome.FAILED),
        (KeyboardInterrupt, Outcome.FAILED),
        (asyncio.CancelledError, Outcome.FAILED),
        (WebsocketCloseException, Outcome.DONE),
    ],
)
def test_what_an_async_consumer_raises_has_the_same_outcome(message, error, outcome):
    async def consumer(message):
        raise error

    assert dispatched_async(message, consumer)[0] is outcome


def test_an_async_consumer_that_is_cancelled_from_outside_ends(message):
    async def consumer(message):
        await asyncio.sleep(60)

    async def cancelled():
        task = asyncio.create_task(run_async(message, Match(consumer, {})))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return task.cancelled()

    assert asyncio.run(cancelled())


def test_signals_are_sent_around_an_async_consumer(message):
    order = []

    def started(**kwargs):
        order.append("started")

    async def finished(**kwargs):
        order.append("finished")

    async def consumer(message):
        order.append("consumer")

    consumer_started.connect(started)
    consumer_finished.connect(finished)
    try:
        dispatched_async(message, consumer)
    finally:
        consumer_started.disconnect(started)
        consumer_finished.disconnect(finished)
    assert order == ["started", "consumer", "finished"]
