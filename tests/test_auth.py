"""The users of consumers: from the session of the browser to that of the connection."""

from __future__ import annotations

import inspect

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY, get_user_model, login
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.db import SessionStore
from django.http import HttpRequest

from channels_classic import auth, sessions
from channels_classic.asgi import ChannelLayerWrapper
from channels_classic.auth import (
    channel_and_http_session_user_from_http,
    channel_session_user,
    channel_session_user_from_http,
    http_session_user,
    transfer_user,
)
from channels_classic.exceptions import DenyConnection
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.message import Message
from channels_classic.sessions import channel_session, session_for_reply_channel

REPLY = "server.reply.abc!1"
DATABASE = "django.contrib.sessions.backends.db"
FROM_HTTP = [channel_session_user_from_http, channel_and_http_session_user_from_http]
EVERY = [*FROM_HTTP, channel_session_user, http_session_user]


@pytest.fixture
def layer() -> InMemoryChannelLayer:
    return InMemoryChannelLayer()


@pytest.fixture(params=["bus", "database"])
def engine(request, settings):
    """Where the sessions of connections are kept."""
    if request.param == "database":
        settings.CHANNEL_SESSION_ENGINE = DATABASE
    return request.param


@pytest.fixture
def message(layer):
    """``message(channel, **content)``: one of the same connection each time."""
    wrapper = ChannelLayerWrapper(layer, "default", [])

    def make(channel="websocket.receive", **content):
        return Message({"reply_channel": REPLY, "path": "/", **content}, channel, wrapper)

    return make


@pytest.fixture
def user(db):
    return get_user_model().objects.create_user("ada")


@pytest.fixture
def browser(user):
    """The session of a browser in which ``user`` has logged in."""
    request = HttpRequest()
    request.session = SessionStore()
    login(request, user, backend=settings.AUTHENTICATION_BACKENDS[0])
    request.session.save()
    return request.session


@pytest.fixture
def connect(message):
    """``connect(browser)``: its handshake."""

    def make(browser=None):
        cookie = f"{settings.SESSION_COOKIE_NAME}={browser.session_key}" if browser else ""
        headers = [(b"cookie", cookie.encode())]
        return message("websocket.connect", headers=headers, query_string=b"")

    return make


@pytest.fixture
def session(layer):
    """``session()``: the session of the connection as it is stored."""
    return lambda: session_for_reply_channel(REPLY, layer)


def user_of(message):
    return message.user


# Where the user comes from --------------------------------------------------------------------


@pytest.mark.parametrize("decorator", FROM_HTTP)
def test_the_user_of_the_browser_is_that_of_the_connection_from_then_on(
    engine, decorator, connect, message, browser, user
):
    assert decorator(user_of)(connect(browser)) == user
    assert channel_session_user(user_of)(message()) == user


@pytest.mark.parametrize("decorator", EVERY)
def test_without_a_login_nobody_asks_the_database_for_a_user(
    decorator, connect, message, django_assert_num_queries, db
):
    with django_assert_num_queries(0):
        assert isinstance(decorator(user_of)(connect()), AnonymousUser)


def test_on_later_messages_the_user_is_that_of_the_connection(connect, message, browser, user):
    both = channel_session_user_from_http(user_of)
    both(connect(browser))
    assert both(message()) == user


def test_a_browser_that_has_logged_out_has_no_user_any_more(connect, message, browser):
    both = channel_and_http_session_user_from_http(user_of)
    both(connect(browser))
    SessionStore(browser.session_key).delete()
    assert both(message()).is_anonymous


def test_an_unknown_user_is_anonymous(connect, message, browser, user, engine):
    channel_session_user_from_http(user_of)(connect(browser))
    user.delete()
    assert channel_session_user(user_of)(message()).is_anonymous


@pytest.mark.parametrize("decorator", FROM_HTTP)
def test_a_user_is_handed_over_once(
    decorator, connect, browser, settings, django_assert_num_queries
):
    """Later on there is nothing to write."""
    settings.CHANNEL_SESSION_ENGINE = DATABASE
    decorator(user_of)(connect(browser))
    with django_assert_num_queries(3):  # two sessions and a user are read
        decorator(user_of)(connect(browser))


def test_a_denied_connection_leaves_no_user(connect, browser, session):
    @channel_session_user_from_http
    def deny(message):
        raise DenyConnection

    with pytest.raises(DenyConnection):
        deny(connect(browser))
    assert dict(session().items()) == {}


# Logins that are not good any more ------------------------------------------------------------


@pytest.fixture
def in_room(connect, browser):
    """The connection of the user, with something in its session."""

    @channel_session_user_from_http
    def enter(message):
        message.channel_session["room"] = "lobby"

    enter(connect(browser))


def change_password(user):
    user.password = "another"  # as it is stored: to make a real one takes long
    user.save()


def test_weakness_9_a_login_that_has_ended_leaves_the_rest_of_the_session(
    engine, in_room, message, user, session
):
    change_password(user)
    assert channel_session_user(user_of)(message()).is_anonymous
    assert dict(session().items()) == {"room": "lobby"}
    assert channel_session(lambda message: message.channel_session["room"])(message()) == "lobby"


def test_weakness_9_a_login_by_an_older_secret_keeps_the_session_and_its_channel(
    engine, in_room, message, user, session, settings
):
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "a new one"
    before = session()[HASH_SESSION_KEY]
    assert channel_session_user(user_of)(message()) == user
    assert session()["room"] == "lobby"
    assert session()[HASH_SESSION_KEY] != before


def test_a_browser_whose_login_has_ended_is_logged_out(connect, browser, user, session):
    """As with its next request."""
    change_password(user)
    assert channel_session_user_from_http(user_of)(connect(browser)).is_anonymous
    assert SESSION_KEY not in session()
    assert SessionStore.get_model_class().objects.count() == 0


def test_a_browser_with_a_login_by_an_older_secret_keeps_its_key(connect, browser, settings, user):
    """It would be logged out else: it cannot be told of another key."""
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "a new one"
    assert http_session_user(user_of)(connect(browser)) == user
    changed = SessionStore(browser.session_key)
    assert changed[HASH_SESSION_KEY] != browser[HASH_SESSION_KEY]


# The rest -------------------------------------------------------------------------------------


def test_a_part_of_a_user_is_not_transferred():
    target = {}
    transfer_user({SESSION_KEY: "1"}, target)
    assert target == {}


@pytest.mark.parametrize("decorator", EVERY)
def test_async_consumers_have_users_too(decorator, connect, browser, user):
    @decorator
    async def consumer(message):
        assert message.user.username == "ada"  # the event loop need not wait for it
        return message.user

    assert inspect.iscoroutinefunction(consumer)
    if decorator is channel_session_user:
        channel_session_user_from_http(user_of)(connect(browser))
    assert async_to_sync(consumer)(connect(browser)) == user


def test_the_decorators_name_themselves_in_errors():
    for decorator in EVERY:
        with pytest.raises(ValueError, match=f"@{decorator.__name__} is for consumers"):
            decorator(user_of)("no message")


def test_the_decorators_of_sessions_are_here_as_well():
    for name in ("channel_session", "http_session", "channel_and_http_session"):
        assert getattr(auth, name) is getattr(sessions, name)
