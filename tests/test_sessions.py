"""The decorators of sessions: order is there without them, and they stay in nobody's way."""

from __future__ import annotations

import pytest

from channels_classic.asgi import ChannelLayerWrapper
from channels_classic.dispatch import find
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.message import Message
from channels_classic.policy import consumer, policy_of
from channels_classic.routing import route
from channels_classic.sessions import enforce_ordering


def plain(message):
    """What it does."""
    return message["text"]


async def later(message):
    return message["text"]


@pytest.mark.parametrize("function", [plain, later])
def test_a_consumer_stays_what_it_is(function):
    assert enforce_ordering(function) is function
    assert enforce_ordering()(function) is function
    assert enforce_ordering(slight=False)(function) is function


def test_a_method_stays_what_it_is():
    class Echo:
        @enforce_ordering
        def receive(self, message, text=None):
            return text

        @enforce_ordering()
        def disconnect(self, message):
            return message

    assert Echo().receive("message", text="text") == "text"
    assert Echo().disconnect("message") == "message"


def test_slight_ordering_is_refused():
    with pytest.raises(ValueError, match="slight ordering is no more"):
        enforce_ordering(slight=True)
    with pytest.raises(ValueError, match="slight ordering is no more"):
        enforce_ordering(slight=True)(plain)


def test_a_decorated_consumer_is_routed_to_without_a_session_or_an_order():
    layer = InMemoryChannelLayer()
    wrapper = ChannelLayerWrapper(layer, "default", [route("work", enforce_ordering(plain))])
    match = find(Message({"text": "hello"}, "work", wrapper), wrapper.router)
    assert match.consumer is plain


def test_it_leaves_what_other_decorators_say():
    @enforce_ordering
    @consumer(max_attempts=7)
    def marked(message):
        pass

    assert policy_of(marked).max_attempts == 7
