"""Decorators that let only pages of certain origins connect."""

from __future__ import annotations

import asyncio
import inspect

import pytest

from channels_classic.asgi import ChannelLayerWrapper
from channels_classic.dispatch import Match, run_async
from channels_classic.exceptions import DenyConnection
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.message import Message
from channels_classic.policy import Outcome, consumer, policy_of
from channels_classic.routing import Router, route
from channels_classic.security.websockets import (
    AllowedHostsOnlyOriginValidator,
    BaseOriginValidator,
    allowed_hosts_only,
)
from channels_classic.utils import name_that_thing

EXAMPLE = (b"origin", b"https://example.com")


@pytest.fixture(autouse=True)
def _hosts(settings):
    settings.ALLOWED_HOSTS = ["example.com"]


def handshake(*headers):
    layer = ChannelLayerWrapper(InMemoryChannelLayer(), "default", [])
    content = {"reply_channel": "answers?1", "headers": list(headers), "path": "/"}
    return Message(content, "websocket.connect", layer)


@allowed_hosts_only
def connect(message, room=None):
    return message, room


class Consumer:
    @allowed_hosts_only
    def connect(self, message):
        return self, message


class OnTuesdays(BaseOriginValidator):
    def validate_origin(self, message, origin):
        return self.get_header(message, "X-Day") == b"Tuesday" and origin == "https://example.com"


@OnTuesdays
def connect_on_tuesdays(message):
    return "connected"


def test_the_short_name_is_the_long_one():
    assert allowed_hosts_only is AllowedHostsOnlyOriginValidator


def test_a_page_of_an_allowed_host_reaches_the_consumer():
    message = handshake(EXAMPLE)
    assert connect(message, room="lobby") == (message, "lobby")


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"host", b"example.com")],
        *([(b"origin", origin)] for origin in (b"https://evil.org", b"null", b"", b"\xff")),
    ],
)
def test_all_others_are_denied_also_those_who_do_not_say_who_they_are(headers):
    with pytest.raises(DenyConnection):
        connect(handshake(*headers))


def test_it_goes_by_allowed_hosts_whatever_allowed_origins_lists(settings):
    settings.CHANNELS_CLASSIC = {"ALLOWED_ORIGINS": ["https://app.org"]}
    with pytest.raises(DenyConnection):
        connect(handshake((b"origin", b"https://app.org")))


def test_a_method_may_be_decorated():
    instance, message = Consumer(), handshake(EXAMPLE)
    assert instance.connect(message) == (instance, message)
    with pytest.raises(DenyConnection):
        instance.connect(handshake())


def test_a_subclass_says_whom_it_lets_in():
    tuesday, monday = (b"x-day", b"Tuesday"), (b"x-day", b"Monday")
    assert connect_on_tuesdays(handshake(EXAMPLE, tuesday)) == "connected"
    with pytest.raises(DenyConnection):
        connect_on_tuesdays(handshake(EXAMPLE, monday))


def test_a_subclass_that_says_nothing_is_an_error():
    with pytest.raises(NotImplementedError, match="BaseOriginValidator must define"):
        BaseOriginValidator(connect)(handshake(EXAMPLE))


def test_a_header_that_is_missing_is_a_key_error():
    with pytest.raises(KeyError, match="no header 'x-day'"):
        connect_on_tuesdays(handshake(EXAMPLE))


def test_a_coroutine_function_stays_one():
    """Also for decorators around this one."""

    @allowed_hosts_only
    async def connect_async(message):
        message.reply_channel.send({"accept": True})

    assert inspect.iscoroutinefunction(connect_async)
    match = Match(connect_async, {})
    assert match.is_async
    done, denied = (asyncio.run(run_async(handshake(h), match)) for h in (EXAMPLE, (b"a", b"b")))
    assert (done.outcome, denied.outcome) == (Outcome.DONE, Outcome.DONE)
    sent = [InMemoryChannelLayer()._codec.decode(e.payload) for _, e in done.outbox.sends]
    assert sent == [{"accept": True}]
    sent = [InMemoryChannelLayer()._codec.decode(e.payload) for _, e in denied.outbox.sends]
    assert sent == [{"close": True}]


def test_it_goes_by_the_name_and_the_policy_of_its_consumer():
    @consumer(max_attempts=3)
    def thrice(message):
        pass

    assert name_that_thing(connect) == f"{__name__}.connect"
    assert policy_of(allowed_hosts_only(thrice)).max_attempts == 3


def test_it_can_be_routed_to():
    router = Router([route("websocket.connect", connect, path="^/(?P<room>)")])
    found, arguments = router.match(handshake(EXAMPLE))
    assert (found, arguments) == (connect, {"room": ""})
