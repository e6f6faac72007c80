"""Classes of consumers: what ``channels_classic.generic`` does for those of Channels 1."""

# ruff: noqa: A002, RUF012 - as users of Channels 1 write their consumers

from __future__ import annotations

import json

import pytest

from channels_classic import Group, route_class
from channels_classic.generic import BaseConsumer
from channels_classic.generic.websockets import JsonWebsocketConsumer, WebsocketConsumer
from channels_classic.routing import Router
from tests.parity.conftest import REPLY


class Counter(BaseConsumer):
    method_mapping = {"counter.add": "add", "counter.show": "show"}
    step = 1

    def add(self, message, **kwargs):
        self.added = message["number"] * self.step, kwargs

    def show(self, message):
        self.shown = True


class Echo(WebsocketConsumer):
    """Answers what it is told."""

    groups = ["echo"]

    def receive(self, text=None, bytes=None, **kwargs):
        self.received = text, bytes, kwargs
        if text is not None:
            self.send(text=text)


class Json(JsonWebsocketConsumer):
    def receive(self, content, **kwargs):
        self.received = content, kwargs
        self.send({"got": content})


# BaseConsumer ------------------------------------------------------------------------------------


def test_a_consumer_is_made_for_each_message_and_runs_its_method(bus):
    consumer = Counter(bus.message("counter.add", number=2), room="a")
    assert consumer.added == (2, {"room": "a"})


def test_it_keeps_the_message_and_what_the_route_captured(bus):
    message = bus.message("counter.add", number=2)
    consumer = Counter(message, room="a")
    assert (consumer.message, consumer.kwargs) == (message, {"room": "a"})


def test_its_channels_are_those_it_has_methods_for():
    assert Counter.channel_names() == {"counter.add", "counter.show"}


def test_it_is_routed_to_as_a_class(bus):
    router = Router([route_class(Counter, path="^/")])
    assert router.match(bus.message("counter.show")) == (Counter, {})


def test_as_route_is_its_route_with_filters(bus):
    router = Router([Counter.as_route(path=r"^/(?P<room>\w+)$")])
    message = bus.message("counter.add", number=2)
    message["path"] = "/a"
    consumer, kwargs = router.match(message)
    assert (consumer, kwargs) == (Counter, {"room": "a"})


def test_as_route_may_set_attributes_on_a_class_of_its_own(bus):
    message = bus.message("counter.add", number=2)
    consumer, kwargs = Router([Counter.as_route(attrs={"step": 10})]).match(message)
    assert issubclass(consumer, Counter)
    assert consumer(message, **kwargs).added == (20, {})
    assert Counter(message).added == (2, {})


def test_get_handler_is_the_place_for_decorators_of_ones_own(bus):
    seen = []

    class Guarded(Counter):
        def get_handler(self, message, **kwargs):
            seen.append(message.channel.name)
            return super().get_handler(message, **kwargs)

    Guarded(bus.message("counter.show"))
    assert seen == ["counter.show"]


def test_a_class_may_have_a_channel_session(engine, bus):
    class Remembers(Counter):
        channel_session = True

        def add(self, message, **kwargs):
            session = message.channel_session
            session["total"] = session.get("total", 0) + message["number"]
            self.total = session["total"]

    totals = [Remembers(bus.message("counter.add", number=2)).total for _ in range(2)]
    assert totals == [2, 4]


def test_a_class_may_have_the_user_of_the_channel_session(engine, bus):
    class Known(Counter):
        channel_session_user = True

        def show(self, message):
            self.user = message.user

    assert Known(bus.message("counter.show")).user.is_anonymous


# WebsocketConsumer -------------------------------------------------------------------------------


def test_a_handshake_is_accepted_and_joins_the_groups(bus):
    Echo(bus.connect())
    assert bus.replies() == [{"accept": True}]
    assert list(bus.layer.group_channels("echo")) == [REPLY]


def test_the_groups_may_depend_on_the_route(bus):
    class Rooms(Echo):
        def connection_groups(self, room, **kwargs):
            return [f"room-{room}"]

    Rooms(bus.connect(), room="a")
    assert list(bus.layer.group_channels("room-a")) == [REPLY]


def test_connect_decides_for_itself_whether_it_accepts(bus):
    class Closed(Echo):
        def connect(self, message, **kwargs):
            self.close()

    Closed(bus.connect())
    assert bus.replies() == [{"close": True}]


def test_a_frame_of_text_is_received_as_text(bus):
    consumer = Echo(bus.message(text="hi"), room="a")
    assert consumer.received == ("hi", None, {"room": "a"})
    assert bus.replies() == [{"text": "hi"}]


def test_a_frame_of_bytes_is_received_as_bytes(bus):
    assert Echo(bus.message(bytes=b"hi")).received == (None, b"hi", {})


def test_bytes_beside_a_text_of_none_are_received(bus):
    """Weakness 27: they were lost."""
    assert Echo(bus.message(text=None, bytes=b"hi")).received == (None, b"hi", {})


def test_the_path_is_that_of_the_message(bus):
    assert Echo(bus.message(text="hi")).path == "/"


def test_a_disconnect_leaves_the_groups_and_runs_disconnect(bus):
    class Ends(Echo):
        def disconnect(self, message, **kwargs):
            self.code = message["code"]

    Group("echo").add(REPLY)
    assert Ends(bus.message("websocket.disconnect", code=1001)).code == 1001
    assert list(bus.layer.group_channels("echo")) == []


@pytest.mark.parametrize(
    ("sent", "reply"),
    [
        ({"text": "a"}, {"text": "a"}),
        ({"bytes": b"a"}, {"bytes": b"a"}),
        ({"text": "a", "close": True}, {"text": "a", "close": True}),
        ({"text": "a", "close": 4001}, {"text": "a", "close": 4001}),
    ],
)
def test_a_reply_is_text_or_bytes_and_may_close(bus, sent, reply):
    Echo(bus.message(bytes=b"")).send(**sent)
    assert bus.replies() == [reply]


def test_a_reply_of_nothing_is_refused(bus):
    with pytest.raises(ValueError, match=r"text|bytes"):
        Echo(bus.message(bytes=b"")).send()


def test_a_class_sends_to_a_group_of_the_default_layer(bus):
    Group("echo").add(REPLY)
    Echo.group_send("echo", text="all", close=4001)
    assert bus.replies() == [{"text": "all", "close": 4001}]


@pytest.mark.parametrize(("arguments", "status"), [([], True), ([4001], 4001)])
def test_close_closes_with_a_status(bus, arguments, status):
    Echo(bus.message(bytes=b"")).close(*arguments)
    assert bus.replies() == [{"close": status}]


def test_groups_that_are_no_list_are_refused(bus):
    class Wrong(Echo):
        groups = "echo"

    with pytest.raises((ValueError, TypeError), match="list"):
        Wrong(bus.connect())


def test_slight_ordering_is_refused(bus):
    class Slight(Echo):
        slight_ordering = True

    with pytest.raises(ValueError, match="slight"):
        Slight(bus.connect())


def test_a_class_that_wants_its_messages_in_order_runs(bus):
    class Strict(Echo):
        strict_ordering = True

    assert Strict(bus.message(text="hi", order=1)).received == ("hi", None, {})


def test_the_user_of_the_site_is_known_on_every_message(bus, cookie):
    class Known(Echo):
        http_user = True

        def receive(self, text=None, bytes=None, **kwargs):
            self.name = self.message.user.username

    Known(bus.connect(cookie=cookie))
    assert Known(bus.message(text="hi")).name == "ada"


def test_the_user_and_the_session_of_the_site_are_known_on_every_message(bus, cookie):
    class Known(Echo):
        http_user_and_session = True

        def receive(self, text=None, bytes=None, **kwargs):
            message = self.message
            self.known = message.user.username, message.http_session is not None

    Known(bus.connect(cookie=cookie))
    assert Known(bus.message(text="hi")).known == ("ada", True)


# JsonWebsocketConsumer ---------------------------------------------------------------------------


def test_a_frame_of_json_is_received_as_what_it_holds(bus):
    assert Json(bus.message(text='{"a": [1]}'), room="a").received == ({"a": [1]}, {"room": "a"})
    [reply] = bus.replies()
    assert json.loads(reply["text"]) == {"got": {"a": [1]}}


def test_a_frame_without_text_is_refused(bus):
    with pytest.raises(ValueError, match="text"):
        Json(bus.message(bytes=b"{}"))


def test_a_reply_of_json_may_close(bus):
    Json(bus.message(text="{}")).send({"last": True}, close=4001)
    assert bus.replies()[-1] == {"text": '{"last": true}', "close": 4001}


def test_json_may_be_read_and_written_otherwise(bus):
    class Loud(Json):
        @classmethod
        def decode_json(cls, text):
            return text.upper()

        @classmethod
        def encode_json(cls, content):
            return f"<{content['got']}>"

    assert Loud(bus.message(text="hi")).received == ("HI", {})
    assert bus.replies() == [{"text": "<HI>"}]


def test_a_class_sends_json_to_a_group(bus):
    Group("all").add(REPLY)
    Json.group_send("all", {"a": 1}, close=True)
    assert bus.replies() == [{"text": '{"a": 1}', "close": True}]
