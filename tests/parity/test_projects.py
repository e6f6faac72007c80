"""Consumers as projects of Channels 1 have them, message by message."""

from __future__ import annotations

import pytest
from django.http import HttpResponse

from channels_classic import Channel, Group, include, route
from channels_classic.dispatch import dispatch
from channels_classic.exceptions import DenyConnection
from channels_classic.handler import AsgiHandler
from channels_classic.routing import Router
from channels_classic.sessions import channel_session, enforce_ordering
from tests.parity.conftest import REPLY


def http_consumer(message):
    response = HttpResponse(f"Hello at {message.content['path']}", status=418)
    for chunk in AsgiHandler.encode_response(response):
        message.reply_channel.send(chunk)


@enforce_ordering
@channel_session
def ws_connect(message, room):
    if room == "closed":
        raise DenyConnection
    message.channel_session["room"] = room
    Group(f"chat-{room}").add(message.reply_channel)
    message.reply_channel.send({"accept": True})


@enforce_ordering
@channel_session
def ws_receive(message):
    Channel("chat-messages").send(
        {"room": message.channel_session["room"], "text": message["text"]}
    )


@enforce_ordering
@channel_session
def ws_disconnect(message):
    Group(f"chat-{message.channel_session['room']}").discard(message.reply_channel)


def msg_consumer(message):
    Group(f"chat-{message.content['room']}").send({"text": message.content["text"]})


SOCKETS = [
    route("websocket.connect", ws_connect, path=r"^/(?P<room>\w+)/$"),
    route("websocket.receive", ws_receive),
    route("websocket.disconnect", ws_disconnect),
]
ROUTING = [
    include(SOCKETS, path=r"^/chat"),
    route("http.request", http_consumer, method="^GET$"),
    route("chat-messages", msg_consumer),
]


@pytest.fixture
def run(bus):
    """``run(message)``: through its consumer, and what it sent is sent."""
    router = Router(ROUTING)

    def run_one(channel, *, path="/chat/red/", **content):
        message = bus.message(channel, **content)
        message["path"] = path
        result = dispatch(message, router)
        result.outbox.flush()
        return result.outcome.name

    return run_one


@pytest.fixture
def open_socket(run, bus):
    assert run("websocket.connect", order=0) == "DONE"
    assert bus.replies() == [{"accept": True}]


def test_a_page_of_a_consumer_of_its_own(run, bus):
    run("http.request", path="/tea", method="GET")
    [reply] = bus.replies()
    assert (reply["status"], reply["content"]) == (418, b"Hello at /tea")


@pytest.mark.usefixtures("open_socket")
def test_what_one_says_in_a_room_reaches_the_room(run, bus):
    run("websocket.receive", order=1, text="hi")
    [content] = bus.replies("chat-messages")
    run("chat-messages", reply_channel=None, **content)
    assert bus.replies() == [{"text": "hi"}]


@pytest.mark.usefixtures("open_socket")
def test_who_leaves_is_in_no_room(run, bus):
    assert list(bus.layer.group_channels("chat-red")) == [REPLY]
    run("websocket.disconnect", order=1, code=1000)
    assert list(bus.layer.group_channels("chat-red")) == []


def test_a_room_that_is_closed_refuses_the_socket(run, bus):
    run("websocket.connect", path="/chat/closed/", order=0)
    assert bus.replies() == [{"close": True}]
