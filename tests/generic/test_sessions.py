"""Consumer classes with sessions and users: the real decorators, the real store."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore

from channels_classic.generic import BaseConsumer
from channels_classic.generic.websockets import JsonWebsocketConsumer, WebsocketDemultiplexer
from channels_classic.routing import route_class
from tests.generic.socket import Socket

pytestmark = pytest.mark.django_db


class Seen(JsonWebsocketConsumer):
    """Notes what it finds on each message."""

    def __init__(self, message, **kwargs):
        self.noted = None
        super().__init__(message, **kwargs)

    def _note(self, message):
        http = message.http_session
        seen.append(
            (
                None if message.user is None else str(message.user),
                message.channel_session is not None,
                None if http is None else http.get("color"),
            )
        )

    def connect(self, message, **kwargs):
        self._note(message)
        super().connect(message, **kwargs)

    def receive(self, content, **kwargs):
        self._note(self.message)

    def disconnect(self, message, **kwargs):
        self._note(message)


seen = []


@pytest.fixture(autouse=True)
def _nothing_seen():
    seen.clear()


@pytest.fixture
def cookie(client):
    """The header of a browser that has logged in, and whose session says a color."""
    client.force_login(User.objects.create_user("jane"))
    session = client.session
    session["color"] = "red"
    session.save()
    return [[b"cookie", f"{settings.SESSION_COOKIE_NAME}={session.session_key}".encode()]]


def live(consumer, headers=(), frame=None):
    """The life of a socket; the errors of its consumers."""
    socket = Socket(route_class(consumer))
    connected = socket.run("websocket.connect", headers=list(headers), query_string=b"")
    return [connected, socket.receive(frame or {}), socket.disconnect()]


def having(**attributes):
    return type("Having", (Seen,), attributes)


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({}, [(None, False, None)] * 3),
        ({"channel_session": True}, [(None, True, None)] * 3),
        ({"channel_session_user": True}, [("AnonymousUser", True, None)] * 3),
        ({"http_user": True}, [("jane", True, "red"), ("jane", True, None), ("jane", True, None)]),
        ({"http_user_and_session": True}, [("jane", True, "red")] * 3),
        ({"http_user_and_session": True, "http_user": True}, [("jane", True, "red")] * 3),
        ({"http_user": True, "channel_session": True, "strict_ordering": True}, None),
    ],
)
def test_a_class_has_the_session_and_user_that_it_asks_for(attributes, expected, cookie):
    assert live(having(**attributes), cookie) == [None] * 3
    assert [each[0] for each in seen] == ["jane"] * 3 if expected is None else seen == expected


def test_without_a_login_the_user_is_anonymous():
    live(having(http_user=True))
    live(having(http_user_and_session=True))
    assert [(user, http) for user, _, http in seen] == [("AnonymousUser", None)] * 6


def test_the_session_of_the_browser_may_be_changed_on_any_message(cookie):
    class Painting(having(http_user_and_session=True)):
        def receive(self, content, **kwargs):
            self.message.http_session["color"] = "blue"

    live(Painting, cookie)
    key = cookie[0][1].decode().partition("=")[2]
    assert SessionStore(key)["color"] == "blue"


def test_a_base_consumer_has_a_session_too():
    class Counting(BaseConsumer):
        method_mapping = {"work": "work"}  # noqa: RUF012
        channel_session = True

        def work(self, message, **kwargs):
            session = message.channel_session
            session["count"] = session.get("count", 0) + 1
            counts.append(session["count"])

    counts = []
    socket = Socket(route_class(Counting))
    assert [socket.run("work") for _ in range(3)] == [None] * 3
    assert counts == [1, 2, 3]


def test_demultiplexed_consumers_share_the_session_of_their_socket(cookie):
    class Counting(JsonWebsocketConsumer):
        channel_session = True

        def receive(self, content, **kwargs):
            session = self.message.channel_session
            session["count"] = session.get("count", 0) + 1
            counts.append((session["count"], str(self.message.user)))

    class Demultiplexer(WebsocketDemultiplexer):
        http_user = True
        consumers = {"a": Counting, "b": Counting}  # noqa: RUF012

    counts = []
    socket = Socket(route_class(Demultiplexer))
    socket.run("websocket.connect", headers=cookie, query_string=b"")
    for stream in ("a", "b", "a"):
        assert socket.receive({"stream": stream, "payload": {}}) is None
    assert counts == [(1, "jane"), (2, "jane"), (3, "jane")]
