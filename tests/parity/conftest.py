"""What the tests of parity share: a default layer of their own, and consumers called by hand."""

from __future__ import annotations

import pytest
from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.test import Client

from channels_classic.asgi import ChannelLayerWrapper, channel_layers
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.message import Message

#: The reply channel of one socket, and what its server reads.
REPLY, SERVER = "server.reply.abc!1", "server.reply.abc!"


class Bus:
    """The default layer of one test, and messages on it."""

    def __init__(self) -> None:
        self.layer = InMemoryChannelLayer()
        self.wrapper = ChannelLayerWrapper(self.layer, "default", [])

    def message(self, channel="websocket.receive", *, reply_channel=REPLY, **content):
        """A message of one socket, or of none with ``reply_channel=None``."""
        if reply_channel is not None:
            content["reply_channel"] = reply_channel
        return Message({"path": "/", **content}, channel, self.wrapper)

    def connect(self, *, cookie=None, **content):
        """The message of a handshake, with a cookie when one is given."""
        headers = [(b"cookie", cookie)] if cookie else []
        first = {"query_string": b"", "headers": headers, "order": 0, **content}
        return self.message("websocket.connect", **first)

    def replies(self, channel=SERVER):
        """All that waits on ``channel``."""
        found = []
        while (received := self.layer.receive([channel]))[0] is not None:
            found.append(received[1])
        return found


@pytest.fixture
def bus():
    """The default layer is one in memory; messages are made and answers read by hand."""
    made = Bus()
    old = channel_layers.set("default", made.wrapper)
    yield made
    if old is None:
        del channel_layers.backends["default"]
    else:
        channel_layers.set("default", old)


@pytest.fixture(params=["bus", "django.contrib.sessions.backends.db"])
def engine(request, settings, bus, db):
    """Where channel sessions are kept: on the bus, or in the database as in Channels 1."""
    if request.param != "bus":
        settings.CHANNEL_SESSION_ENGINE = request.param
    return request.param


@pytest.fixture
def cookie(engine):
    """The cookie of a browser that user "ada" has logged in with."""
    browser = Client()
    browser.force_login(get_user_model().objects.create_user("ada"))
    name = django_settings.SESSION_COOKIE_NAME
    return f"{name}={browser.cookies[name].value}".encode()
