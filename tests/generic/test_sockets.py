"""WebsocketConsumer and JsonWebsocketConsumer: one socket, one class."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid

import pytest
from django.core.exceptions import ImproperlyConfigured

from channels_classic.asgi import channel_layers
from channels_classic.exceptions import ConsumeLater, DenyConnection
from channels_classic.generic.websockets import JsonWebsocketConsumer, WebsocketConsumer
from tests.generic.socket import Socket


class Echo(WebsocketConsumer):
    groups = ("all",)

    def receive(self, text=None, bytes=None, **kwargs):  # noqa: A002
        self.send(text=text, bytes=bytes)


class JsonEcho(JsonWebsocketConsumer):
    def receive(self, content, **kwargs):
        self.send(content)


class Room(WebsocketConsumer):
    def connection_groups(self, room, **kwargs):
        return ["all", f"room-{room}"]


def socket_of(consumer, **filters):
    return Socket(consumer.as_route(**filters))


@pytest.fixture
def default_layer():
    """``default_layer(socket)``: its layer is the default one."""
    old = channel_layers["default"]
    yield lambda socket: channel_layers.set("default", socket.wrapper)
    channel_layers.set("default", old)


# One socket -------------------------------------------------------------------------------


def test_the_three_messages_of_a_socket_are_consumed():
    assert WebsocketConsumer.channel_names() == {
        "websocket.connect",
        "websocket.receive",
        "websocket.disconnect",
    }


def test_a_socket_is_accepted():
    socket = socket_of(Echo)
    socket.connect()
    assert socket.replies() == [{"accept": True}]


@pytest.mark.parametrize("frame", [{"text": "hello"}, {"bytes": b"\x00"}, {"text": ""}])
def test_a_frame_is_received_and_answered(frame):
    socket = socket_of(Echo)
    socket.receive(**frame)
    assert socket.replies() == [frame]


def test_bytes_beside_a_text_of_none_are_received():
    """Weakness 27: the specification of the message has both keys."""
    socket = socket_of(Echo)
    socket.receive(text=None, bytes=b"\x00")
    socket.receive(text="hello", bytes=None)
    assert socket.replies() == [{"bytes": b"\x00"}, {"text": "hello"}]


def test_a_consumer_that_overrides_nothing_answers_nothing():
    socket = socket_of(WebsocketConsumer)
    errors = [socket.receive(text="hello"), socket.disconnect()]
    assert (errors, socket.replies()) == ([None, None], [])


def test_methods_get_what_the_route_captured():
    got = []

    class Captured(WebsocketConsumer):
        def connect(self, message, **kwargs):
            got.append((message["path"], self.path, kwargs))

        def receive(self, text=None, bytes=None, **kwargs):  # noqa: A002
            got.append((text, bytes, kwargs))

        def disconnect(self, message, **kwargs):
            got.append((message["code"], kwargs))

    socket = socket_of(Captured, path="^/(?P<room>.)")
    socket.connect(path="/a")
    socket.receive(path="/a", text="hello")
    socket.disconnect()
    assert got == [("/a", "/a", {"room": "a"}), ("hello", None, {"room": "a"})]


def test_a_message_without_a_path_is_not_of_a_socket():
    message = Socket().message("websocket.receive", text="hello")
    del message.content["path"]
    with pytest.raises(KeyError, match="path"):
        Echo(message)


# Answers ----------------------------------------------------------------------------------


class Told(WebsocketConsumer):
    """``Told.do`` is what it does with each frame."""

    def receive(self, **kwargs):
        type(self).do(self)


def told(do):
    socket = socket_of(type("Told", (Told,), {"do": staticmethod(do)}))
    error = socket.receive(text="")
    return socket.replies(), error


@pytest.mark.parametrize(
    ("do", "answer"),
    [
        (lambda self: self.send("a"), {"text": "a"}),
        (lambda self: self.send(bytes=b"a"), {"bytes": b"a"}),
        (lambda self: self.send("a", b"b"), {"text": "a"}),
        (lambda self: self.send("a", close=True), {"text": "a", "close": True}),
        (lambda self: self.send("a", close=4000), {"text": "a", "close": 4000}),
        (lambda self: self.close(), {"close": True}),
        (lambda self: self.close(4000), {"close": 4000}),
    ],
)
def test_an_answer_is_sent(do, answer):
    assert told(do) == ([answer], None)


def test_there_must_be_something_to_send():
    replies, error = told(lambda self: self.send(close=True))
    assert replies == []
    assert isinstance(error, ValueError)
    assert "text or bytes" in str(error)


def test_a_message_without_a_reply_channel_cannot_be_answered():
    message = Socket().message("websocket.receive", text="hello", reply_channel=None)
    with pytest.raises(ValueError, match="no reply channel"):
        Echo(message)


def test_a_group_is_sent_to(default_layer):
    socket = socket_of(Echo)
    default_layer(socket)
    socket.connect()
    socket.replies()
    Echo.group_send("all", "hello")
    Echo.group_send("all", bytes=b"\x00", close=True)
    assert socket.replies() == [{"text": "hello"}, {"bytes": b"\x00", "close": True}]
    with pytest.raises(ValueError, match="text or bytes"):
        Echo.group_send("all")


# Groups -----------------------------------------------------------------------------------


def test_a_socket_is_in_its_groups_while_it_is_open():
    socket = socket_of(Room, path="^/(?P<room>.)")
    socket.connect(path="/a")
    assert socket.groups("all", "room-a", "room-b") == ["all", "room-a"]
    socket.run("websocket.disconnect", path="/a", code=1000)
    assert socket.groups("all", "room-a") == []


def test_without_a_word_there_are_no_groups():
    class Plain(WebsocketConsumer):
        pass

    message = Socket().message("websocket.connect")
    assert Plain(message).connection_groups() == []


@pytest.mark.parametrize("error", [DenyConnection, RuntimeError, ConsumeLater])
def test_a_socket_that_connect_refuses_stays_in_no_group(error):
    class Closed(Room):
        def connect(self, message, **kwargs):
            assert socket.groups("all", "room-a") == ["all", "room-a"]
            raise error

    socket = socket_of(Closed, path="^/(?P<room>.)")
    assert isinstance(socket.connect(path="/a"), error) or error is DenyConnection
    assert socket.groups("all", "room-a") == []


def test_nor_does_one_whose_second_group_has_no_name():
    class Misnamed(WebsocketConsumer):
        groups = ("all", "no name")

    socket = socket_of(Misnamed)
    assert "no name" in str(socket.connect())
    assert socket.groups("all") == []


@pytest.mark.parametrize("names", ["all", {"all"}, None])
def test_groups_are_a_list_or_tuple(names):
    class Wrong(WebsocketConsumer):
        def connection_groups(self, **kwargs):
            return names

    error = socket_of(Wrong).connect()
    assert isinstance(error, TypeError)
    assert "Wrong returns a list or tuple of group names" in str(error)


# Order ------------------------------------------------------------------------------------


def test_strict_ordering_implies_a_channel_session():
    class Ordered(WebsocketConsumer):
        strict_ordering = True

        def receive(self, text=None, **kwargs):
            session = self.message.channel_session
            session["seen"] = session.get("seen", 0) + 1
            self.send(text=str(session["seen"]))

    socket = socket_of(Ordered)
    socket.connect()
    socket.receive(text="hello")
    socket.receive(text="hello")
    assert socket.replies() == [{"accept": True}, {"text": "1"}, {"text": "2"}]


def test_slight_ordering_is_refused():
    class Slight(Echo):
        slight_ordering = True

    error = socket_of(Slight).connect()
    assert isinstance(error, ValueError)
    assert "slight ordering is no more" in str(error)


# JSON -------------------------------------------------------------------------------------


def test_json_is_received_and_answered():
    socket = socket_of(JsonEcho)
    socket.receive({"hello": [1, None, True]})
    assert socket.frames() == [{"hello": [1, None, True]}]


def test_dates_decimals_and_uuids_can_be_sent():
    """Weakness 26: only the multiplexer knew them."""

    class Values(JsonWebsocketConsumer):
        def receive(self, content, **kwargs):
            self.send([dt.date(2024, 2, 29), decimal.Decimal("1.50"), uuid.UUID(int=1)])

    socket = socket_of(Values)
    assert socket.receive({}) is None
    assert socket.frames() == [["2024-02-29", "1.50", "00000000-0000-0000-0000-000000000001"]]


def test_json_is_sent_to_a_group(default_layer):
    socket = socket_of(type("Json", (JsonEcho,), {"groups": ["all"]}))
    default_layer(socket)
    socket.connect()
    socket.replies()
    JsonEcho.group_send("all", {"day": dt.date(2024, 2, 29)}, close=True)
    assert socket.replies() == [{"text": '{"day": "2024-02-29"}', "close": True}]


@pytest.mark.parametrize("text", ["", "hello", "{", "[" * 100_000])
def test_what_is_not_json_is_refused_with_the_name_of_the_consumer(text):
    error = socket_of(JsonEcho).receive(text=text)
    assert isinstance(error, ValueError)
    assert "JsonEcho was sent" in str(error)
    assert len(str(error)) < 400


@pytest.mark.parametrize("frame", [{"bytes": b"{}"}, {"text": None, "bytes": b"{}"}, {}])
def test_bytes_are_no_json(frame):
    error = socket_of(JsonEcho).receive(**frame)
    assert isinstance(error, ValueError)
    assert "JsonEcho takes JSON as text" in str(error)


def test_json_may_be_another_dialect():
    class Upper(JsonEcho):
        @classmethod
        def decode_json(cls, text):
            return text.lower()

        @classmethod
        def encode_json(cls, content):
            return content.upper()

    socket = socket_of(Upper)
    socket.receive(text="Hello")
    assert socket.replies() == [{"text": "HELLO"}]


# Coroutine functions ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["connect", "receive", "disconnect", "raw_connect", "connection_groups"]
)
@pytest.mark.parametrize("base", [WebsocketConsumer, JsonWebsocketConsumer])
def test_a_coroutine_function_that_nobody_would_await_is_refused(base, name):
    async def method(self, *args, **kwargs):
        pass

    with pytest.raises(ImproperlyConfigured, match=f"{name} is a coroutine function"):
        type("Wrong", (base,), {name: method})
