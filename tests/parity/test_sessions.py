"""Sessions of sockets: what ``channels_classic.sessions`` does for consumers of Channels 1."""

from __future__ import annotations

import hashlib
from importlib import import_module

import pytest
from django.conf import settings as django_settings

from channels_classic.message import Message
from channels_classic.sessions import (
    channel_and_http_session,
    channel_session,
    enforce_ordering,
    http_session,
    requeue_messages,
    session_for_reply_channel,
    wait_channel_name,
)
from tests.parity.conftest import REPLY

DATABASE = "django.contrib.sessions.backends.db"


@channel_session
def count(message):
    message.channel_session["count"] = message.channel_session.get("count", 0) + 1
    return message.channel_session["count"]


def http_session_with(**values):
    """A session of the site, as a view has left it, and the cookie that leads to it."""
    store = import_module(django_settings.SESSION_ENGINE).SessionStore()
    store.update(values)
    store.save()
    return store, f"{django_settings.SESSION_COOKIE_NAME}={store.session_key}".encode()


def stored(store):
    """What the site's session holds now."""
    return import_module(django_settings.SESSION_ENGINE).SessionStore(store.session_key)


# The session of a reply channel ------------------------------------------------------------------


def test_the_key_of_a_channel_session_is_made_of_the_reply_channel(engine):
    digest = hashlib.sha1(REPLY.encode()).hexdigest()
    assert session_for_reply_channel(REPLY).session_key == f"chn{digest[:29]}"


def test_sessions_in_cookies_cannot_hold_those_of_sockets(settings, bus):
    settings.CHANNEL_SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    with pytest.raises(ValueError, match="cookie"):
        session_for_reply_channel(REPLY)


def test_what_a_consumer_puts_into_a_session_is_in_the_session_of_its_reply_channel(engine, bus):
    count(bus.message())
    assert session_for_reply_channel(REPLY)["count"] == 1


# channel_session ---------------------------------------------------------------------------------


def test_a_channel_session_lives_from_message_to_message(engine, bus):
    assert [count(bus.message()) for _ in range(3)] == [1, 2, 3]


def test_two_sockets_have_two_channel_sessions(engine, bus):
    assert [count(bus.message(reply_channel=f"server.reply.abc!{n}")) for n in (1, 2)] == [1, 1]


def test_a_channel_session_is_saved_when_the_consumer_fails(engine, bus):
    @channel_session
    def fails(message):
        message.channel_session["kept"] = True
        raise RuntimeError("too bad")

    with pytest.raises(RuntimeError, match="too bad"):
        fails(bus.message())
    assert session_for_reply_channel(REPLY)["kept"] is True


def test_a_method_may_be_decorated(engine, bus):
    class Consumers:
        @channel_session
        def receive(self, message, **kwargs):
            message.channel_session["kwargs"] = kwargs
            return self, kwargs

    consumers = Consumers()
    assert consumers.receive(bus.message(), room="a") == (consumers, {"room": "a"})
    assert session_for_reply_channel(REPLY)["kwargs"] == {"room": "a"}


def test_a_decorated_consumer_needs_a_message(bus):
    with pytest.raises(ValueError, match=r"[Mm]essage"):
        count("no message")


def test_a_channel_session_needs_a_reply_channel(bus):
    with pytest.raises(ValueError, match="reply.channel"):
        count(bus.message(reply_channel=None))


def test_a_decorator_in_a_decorator_uses_the_same_session(engine, bus):
    @channel_session
    def outer(message):
        message.channel_session["outer"] = True
        inner(message)
        return message.channel_session["inner"]

    @channel_session
    def inner(message):
        message.channel_session["inner"] = message.channel_session["outer"]

    assert outer(bus.message()) is True


def test_a_message_made_by_hand_has_a_channel_session_on_the_default_layer(engine, bus):
    assert count(Message({"reply_channel": "test-reply"}, None, None)) == 1
    assert count(Message({"reply_channel": "test-reply"}, None, None)) == 2


# http_session ------------------------------------------------------------------------------------


@http_session
def session_of(message):
    return message.http_session


@pytest.mark.django_db
def test_the_session_of_the_site_is_found_by_the_cookie(bus):
    _, cookie = http_session_with(basket=3)
    assert session_of(bus.connect(cookie=cookie))["basket"] == 3


@pytest.mark.django_db
def test_the_session_of_the_site_may_be_named_in_the_url_when_the_settings_allow_it(settings, bus):
    settings.CHANNELS_CLASSIC = {"SESSION_KEY_IN_URL": True}
    store, _ = http_session_with(basket=3)
    query = f"session_key={store.session_key}".encode()
    assert session_of(bus.connect(query_string=query))["basket"] == 3


@pytest.mark.django_db
def test_else_a_key_in_the_url_opens_no_session(bus):
    """Weakness 10: whoever saw a URL had the session."""
    store, _ = http_session_with(basket=3)
    query = f"session_key={store.session_key}".encode()
    assert session_of(bus.connect(query_string=query)) is None


@pytest.mark.django_db
def test_without_a_session_of_the_site_it_is_none(bus):
    assert session_of(bus.connect()) is None


@pytest.mark.django_db
def test_the_session_of_the_site_is_saved_when_it_was_changed(bus):
    @http_session
    def change(message):
        message.http_session["basket"] = 4

    store, cookie = http_session_with(basket=3)
    change(bus.connect(cookie=cookie))
    assert stored(store)["basket"] == 4


@pytest.mark.django_db
def test_the_session_of_the_site_is_not_saved_when_the_consumer_fails(bus):
    @http_session
    def fails(message):
        message.http_session["basket"] = 4
        raise RuntimeError("too bad")

    store, cookie = http_session_with(basket=3)
    with pytest.raises(RuntimeError, match="too bad"):
        fails(bus.connect(cookie=cookie))
    assert stored(store)["basket"] == 3


def test_a_message_that_is_no_request_has_no_http_session_to_find(bus):
    with pytest.raises(ValueError, match=r"http|HTTP|request|session"):
        session_of(Message({"reply_channel": REPLY}, "websocket.receive", bus.wrapper))


# channel_and_http_session ------------------------------------------------------------------------


@channel_and_http_session
def both(message):
    return message.http_session


def test_later_messages_have_the_session_of_the_handshake(engine, bus):
    _, cookie = http_session_with(basket=3)
    both(bus.connect(cookie=cookie))
    assert both(bus.message())["basket"] == 3


def test_its_key_is_in_the_channel_session(engine, bus):
    store, cookie = http_session_with(basket=3)
    both(bus.connect(cookie=cookie))
    session = session_for_reply_channel(REPLY)
    assert session[django_settings.SESSION_COOKIE_NAME] == store.session_key


def test_a_session_that_was_opened_again_is_saved(engine, bus):
    """Weakness 6: on later messages changes were lost."""

    @channel_and_http_session
    def change(message):
        message.http_session["basket"] = 4

    store, cookie = http_session_with(basket=3)
    both(bus.connect(cookie=cookie))
    change(bus.message())
    assert stored(store)["basket"] == 4


# Order -------------------------------------------------------------------------------------------


def test_the_wait_channel_of_a_reply_channel_has_its_old_name():
    assert wait_channel_name("server.reply.abc!1") == "__wait__.server.reply.abc?1"


def test_messages_that_wait_are_put_back_on_their_channels(bus):
    waiting = {"text": "hi", "original_channel": "websocket.receive", "reply_channel": REPLY}
    bus.layer.send(wait_channel_name(REPLY), waiting)
    requeue_messages(bus.message())
    [content] = bus.replies("websocket.receive")
    assert content["text"] == "hi"


def test_an_ordered_consumer_runs(bus):
    seen = []
    enforce_ordering(lambda message: seen.append(message["order"]))(bus.message(order=1))
    assert seen == [1]
