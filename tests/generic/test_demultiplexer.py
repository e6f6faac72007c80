"""WebsocketMultiplexer and WebsocketDemultiplexer: several streams over one socket."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from django.core.exceptions import ImproperlyConfigured

from channels_classic.asgi import channel_layers
from channels_classic.channel import Channel, Group
from channels_classic.exceptions import (
    ConsumeLater,
    DenyConnection,
    SendNotAvailableOnDemultiplexer,
    WebsocketCloseException,
)
from channels_classic.generic.websockets import (
    JsonWebsocketConsumer,
    WebsocketConsumer,
    WebsocketDemultiplexer,
    WebsocketMultiplexer,
)
from channels_classic.layers.memory import InMemoryChannelLayer
from tests.generic.socket import Socket
from tests.worker.site import Site, until


class Echo(JsonWebsocketConsumer):
    groups = ("echoes",)

    def receive(self, content, multiplexer, **kwargs):
        multiplexer.send({"echo": content, "by": multiplexer.stream})


class Plain(WebsocketConsumer):
    """Takes its payload as the text of a frame, and calls ``send`` as it would on a socket."""

    def receive(self, text=None, **kwargs):
        self.send(text=text)


def count(message, multiplexer=None, **kwargs):
    """A consumer that is a function."""
    if message.channel_name == "websocket.receive":
        multiplexer.send({"counted": len(message["text"])})


class Demultiplexer(WebsocketDemultiplexer):
    consumers = {"echo": Echo, "plain": Plain, "count": count}  # noqa: RUF012
    groups = ("sockets",)


def frame(stream="echo", **payload):
    return {"stream": stream, "payload": payload}


def demultiplexed(**consumers):
    made = type("Made", (WebsocketDemultiplexer,), {"consumers": consumers})
    return Socket(made.as_route())


@pytest.fixture
def socket():
    return Socket(Demultiplexer.as_route())


# A multiplexer ----------------------------------------------------------------------------


def test_a_multiplexer_sends_on_its_stream(socket):
    multiplexer = WebsocketMultiplexer("s", Channel(socket.name, channel_layer=socket.wrapper))
    multiplexer.send({"day": dt.date(2024, 2, 29)})
    assert (multiplexer.stream, str(multiplexer.reply_channel)) == ("s", socket.name)
    assert socket.frames() == [frame("s", day="2024-02-29")]


def test_a_multiplexer_sends_to_groups(socket):
    socket.connect()
    socket.replies()
    old = channel_layers.set("default", socket.wrapper)
    try:
        WebsocketMultiplexer.group_send("sockets", "s", {"n": 1})
        WebsocketMultiplexer.group_send("sockets", "s", {"n": 2}, close=4000)
    finally:
        channel_layers.set("default", old)
    first, second = socket.replies()
    assert first.keys() == {"text"}
    assert json.loads(second["text"]) == frame("s", n=2)
    assert second["close"] == 4000


# The way of a frame -----------------------------------------------------------------------


def test_a_frame_goes_to_the_consumer_of_its_stream(socket):
    socket.receive(frame("echo", n=1))
    assert socket.frames() == [frame("echo", echo={"n": 1}, by="echo")]


def test_a_consumer_may_be_a_function(socket):
    socket.receive(frame("count", n=1))
    assert socket.frames() == [frame("count", counted=len('{"n": 1}'))]


def test_consumers_get_what_the_route_captured_and_the_multiplexer():
    got = []

    def consumer(message, **kwargs):
        got.append((kwargs.pop("multiplexer").stream, kwargs))

    made = type("Made", (WebsocketDemultiplexer,), {"consumers": {"s": consumer}})
    Socket(made.as_route(path="^/(?P<room>.)")).receive(frame("s"), path="/a")
    assert got == [("s", {"room": "a"})]


def test_consumers_share_the_message_and_what_is_attached_to_it():
    got = []
    socket = demultiplexed(s=lambda message, **kwargs: got.append(message))
    sent = socket.message("websocket.receive", text=json.dumps(frame("s", n=1)))
    consumer, _ = socket.wrapper.router.match(sent)
    consumer(sent)
    assert got == [sent]


def test_every_consumer_hears_of_connect_and_disconnect_in_order():
    heard = []
    names = ["a", "b", "c"]
    consumers = {
        name: lambda message, name=name, **kwargs: heard.append((message.channel_name, name))
        for name in names
    }
    socket = demultiplexed(**consumers)
    socket.connect()
    socket.disconnect()
    assert heard == [
        (channel, name)
        for channel in ("websocket.connect", "websocket.disconnect")
        for name in names
    ]


def test_a_socket_is_in_the_groups_of_all_while_it_is_open(socket):
    socket.connect()
    assert socket.groups("sockets", "echoes") == ["sockets", "echoes"]
    socket.disconnect()
    assert socket.groups("sockets", "echoes") == []


def test_an_error_in_one_consumer_keeps_no_other_from_disconnecting():
    heard = []

    def broken(message, **kwargs):
        if message.channel_name == "websocket.disconnect":
            raise RuntimeError("broken")

    socket = demultiplexed(a=broken, b=lambda message, **kwargs: heard.append(1), c=Echo)
    socket.connect()
    error = socket.disconnect()
    assert (heard, socket.groups("echoes"), str(error)) == ([1, 1], [], "broken")


def test_another_multiplexer_may_be_used():
    class Shouting(WebsocketMultiplexer):
        @classmethod
        def encode_json(cls, content):
            return super().encode_json(content).upper()

    made = type("M", (Demultiplexer,), {"multiplexer_class": Shouting})
    socket = Socket(made.as_route())
    socket.receive(frame("count", n=1))
    assert socket.replies() == [{"text": '{"STREAM": "COUNT", "PAYLOAD": {"COUNTED": 8}}'}]


# What a client may get wrong --------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        ("no dict", "takes frames"),
        (["stream", "payload"], "takes frames"),
        (5, "takes frames"),
        ({"payload": {}}, "takes frames"),
        ({"stream": "echo"}, "takes frames"),
        ({"stream": "other", "payload": {}}, "has no stream 'other'; it has: echo, plain, count"),
        ({"stream": None, "payload": {}}, "has no stream None"),
        ({"stream": ["echo"], "payload": {}}, r"has no stream \['echo'\]"),
        (
            {"stream": "echo", "payload": [1]},
            r"takes an object as payload, and was sent \[1\] on 'echo'",
        ),
        ({"stream": "echo", "payload": None}, "takes an object as payload"),
    ],
)
def test_what_is_no_frame_of_a_stream_is_refused_by_name(socket, sent, text):
    with pytest.raises(ValueError, match=f"Demultiplexer {text}"):
        raise socket.receive(sent)


def test_what_is_not_json_is_refused_by_name(socket):
    with pytest.raises(ValueError, match="Demultiplexer was sent 'hello', which is not JSON"):
        raise socket.receive(text="hello")


# Sending beside the multiplexer -----------------------------------------------------------


def test_send_of_a_consumer_is_refused_on_the_demultiplexer(socket):
    with pytest.raises(SendNotAvailableOnDemultiplexer, match="Plain shares its socket"):
        raise socket.receive(frame("plain", n=1))
    assert socket.replies() == []


def test_send_of_a_consumer_is_refused_while_it_connects_too():
    """Weakness 11, one half."""

    class Greeting(Plain):
        def connect(self, message, **kwargs):
            self.send(text="hello")

    with pytest.raises(SendNotAvailableOnDemultiplexer):
        raise demultiplexed(s=Greeting).connect()


def test_a_demultiplexed_consumer_is_not_changed_elsewhere(socket):
    """Weakness 11, the other half."""
    socket.connect()
    socket.receive(frame("plain", n=1))
    alone = Socket(Plain.as_route(), beside=socket)
    alone.replies()
    assert alone.receive(text="hello") is None
    assert alone.replies() == [{"text": "hello"}]


def test_the_demultiplexer_itself_has_no_send(socket):
    class Sending(Demultiplexer):
        def receive(self, content, **kwargs):
            self.send({"n": 1})

    with pytest.raises(SendNotAvailableOnDemultiplexer, match="multiplexer"):
        raise Socket(Sending.as_route()).receive(frame())
    with pytest.raises(SendNotAvailableOnDemultiplexer, match="multiplexer"):
        Demultiplexer.group_send("sockets", {"n": 1})


# Connecting -------------------------------------------------------------------------------


def test_a_socket_is_accepted_once_however_many_consumers_there_are(socket):
    """Weakness 12."""

    class Super(Echo):
        def connect(self, message, multiplexer, **kwargs):
            super().connect(message, multiplexer=multiplexer, **kwargs)
            multiplexer.send({"hello": 1})

    socket = demultiplexed(a=Super, b=Echo, c=Plain)
    socket.connect()
    assert socket.replies() == [
        {"accept": True},
        {"text": json.dumps(frame("a", hello=1))},
    ]


def test_a_consumer_that_denies_the_connection_denies_it_to_all():
    class Greeting(Echo):
        def connect(self, message, multiplexer, **kwargs):
            multiplexer.send({"hello": 1})
            Group("news", channel_layer=message.channel_layer).send({"text": "somebody came"})

    class Closed(Echo):
        groups = ("closed",)

        def connect(self, message, **kwargs):
            raise DenyConnection

    socket = demultiplexed(a=Greeting, b=Closed)
    socket.layer.group_add("news", "reader")
    socket.connect()
    assert socket.replies() == [{"close": True}]
    assert socket.layer.receive(["reader"]) == ("reader", {"text": "somebody came"})
    socket.disconnect()  # which is what the server says of a socket that was refused
    assert socket.groups("echoes", "closed") == []


def test_a_consumer_may_close_the_socket_with_a_code_that_the_client_sees():
    class Closed(Echo):
        def connect(self, message, **kwargs):
            raise WebsocketCloseException(4001)

    socket = demultiplexed(a=Closed)
    socket.connect()
    assert socket.replies() == [{"accept": True}, {"close": 4001}]


# Order, and again later -------------------------------------------------------------------


def test_ordered_consumers_on_several_streams_get_every_frame():
    """Weakness 5: the order of the socket was counted on each stream."""
    strict = type("Strict", (Echo,), {"strict_ordering": True})
    socket = demultiplexed(a=strict, b=strict)
    socket.connect()
    for n in range(3):
        socket.receive(frame("a", n=n))
        socket.receive(frame("b", n=n))
    echoes = [(each["stream"], each["payload"]["echo"]["n"]) for each in socket.frames()]
    assert echoes == [("a", 0), ("b", 0), ("a", 1), ("b", 1), ("a", 2), ("b", 2)]


def test_a_demultiplexed_consumer_may_ask_to_be_run_later():
    """Its frame comes as the client has sent it, not as the consumer has seen it."""
    got = []

    def hesitant(message, **kwargs):
        got.append(message["text"])
        if len(got) < 3:
            raise ConsumeLater

    made = type("Made", (WebsocketDemultiplexer,), {"consumers": {"s": hesitant}})
    site = Site(InMemoryChannelLayer(), made.as_route())
    content = {"reply_channel": "server.reply!a", "path": "/", "text": json.dumps(frame("s", n=1))}
    with site.working():
        site.send("websocket.receive", **content)
        until(lambda: len(got) == 3)
    assert got == ['{"n": 1}'] * 3


def test_a_coroutine_function_among_the_consumers_is_refused_by_its_stream():
    async def consumer(message, **kwargs):
        pass

    with pytest.raises(ImproperlyConfigured, match=r"consumers\['s'\] is a coroutine function"):
        demultiplexed(s=consumer)
