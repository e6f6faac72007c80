"""Whatever message a worker finds on the channels of servers, it deals with it and goes on."""

from __future__ import annotations

import logging

import pytest
from django.http import HttpResponse
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from channels_classic.asgi import ChannelLayerWrapper
from channels_classic.dispatch import dispatch
from channels_classic.generic.websockets import JsonWebsocketConsumer
from channels_classic.handler import ViewConsumer
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.message import Message
from channels_classic.policy import Outcome
from channels_classic.routing import Router, route, route_class
from channels_classic.sessions import channel_session
from tests.handler.site import REPLY

text, bytes_ = st.text(max_size=20), st.binary(max_size=20)
anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | text | bytes_,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
#: What servers send, with the one or the other thing wrong.
contents = st.fixed_dictionaries(
    {},
    optional={
        "reply_channel": st.just(REPLY) | st.just(REPLY) | anything,
        "http_version": st.just("1.1") | anything,
        "method": st.sampled_from(["GET", "POST"]) | anything,
        "path": st.just("/") | text.map(lambda path: "/" + path) | anything,
        "query_string": bytes_ | anything,
        "root_path": st.just("") | anything,
        "headers": st.lists(st.lists(bytes_, min_size=2, max_size=2), max_size=3) | anything,
        "body": bytes_ | anything,
        "client": st.just(["127.0.0.1", 1]) | anything,
        "server": st.just(["127.0.0.1", 80]) | anything,
        "scheme": st.sampled_from(["http", "ws"]) | anything,
        "text": text | anything,
        "bytes": bytes_ | anything,
        "order": st.integers(0, 5) | anything,
        "code": st.just(1000) | anything,
    },
)


class Sockets(JsonWebsocketConsumer):
    """Echoes."""

    channel_session = True

    def connection_groups(self, **kwargs):
        return ["all"]

    def receive(self, content, **kwargs):
        self.send(content)


@channel_session
def remember(message):
    message.channel_session["seen"] = message.content.get("order")


@pytest.fixture
def router():
    return Router(
        [
            route("http.request", ViewConsumer()),
            route("websocket.disconnect", remember),
            route_class(Sockets, path=r"^/"),
        ]
    )


@pytest.mark.parametrize(
    "channel", ["http.request", "websocket.connect", "websocket.receive", "websocket.disconnect"]
)
@example(content={"path": "/", "reply_channel": b"\x80"})
@example(content={"path": "/", "reply_channel": "no name"})
@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(content=contents)
def test_any_message_is_dealt_with(channel, content, router, set_view):
    set_view(lambda request: HttpResponse(repr((request.GET, request.POST, request.META))))
    wrapper = ChannelLayerWrapper(InMemoryChannelLayer(capacity=1000), "default", [])
    logging.disable(logging.CRITICAL)
    try:
        result = dispatch(Message(content, channel, wrapper), router)
    finally:
        logging.disable(logging.NOTSET)
    assert isinstance(result.outcome, Outcome)
