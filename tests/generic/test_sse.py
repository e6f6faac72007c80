"""SSEConsumer: what a request for events is answered, what goes to groups, and the framing."""

from __future__ import annotations

import asyncio

import pytest
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.http import Http404

from channels_classic import channel_layers, route_class
from channels_classic.asgi import ChannelLayerWrapper
from channels_classic.dispatch import dispatch
from channels_classic.exceptions import DenyConnection
from channels_classic.generic import sse
from channels_classic.generic.sse import Event, SSEConsumer, asend_event, send_event
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.message import Message

CLIENT = "server.reply!client"


class Stream:
    """One request for events to ``consumer``, on a layer of its own."""

    def __init__(self, consumer, **config):
        self.layer = InMemoryChannelLayer(**config)
        route = route_class(consumer, path=r"^/(?P<room>\w*)$")
        self.wrapper = ChannelLayerWrapper(self.layer, "default", [route])

    def ask(self, *, headers=(), **content):
        """The answer; the error that the consumer ended with is raised."""
        request = {"method": "GET", "path": "/", "query_string": b"", "reply_channel": CLIENT}
        host = (b"host", b"testserver")
        content = {**request, "headers": [host, *headers], **content}
        result = dispatch(Message(content, "http.request", self.wrapper), self.wrapper.router)
        result.outbox.flush()
        if result.error is not None:
            raise result.error
        return self.layer.receive(["server.reply!"])[1]


def ids(answer):
    lines = answer["content"].decode().splitlines()
    return [line.removeprefix("id: ") for line in lines if line.startswith("id: ")]


# The answer -----------------------------------------------------------------------------------


def test_a_stream_is_an_answer_that_does_not_end():
    answer = Stream(SSEConsumer).ask()
    assert (answer["status"], answer["content"], answer["more_content"]) == (200, b"", True)
    assert answer["headers"] == [
        [b"Content-Type", b"text/event-stream"],
        [b"Cache-Control", b"no-cache"],
        [b"X-Accel-Buffering", b"no"],
    ]


def test_the_server_is_asked_for_heartbeats():
    class Quick(SSEConsumer):
        heartbeat = 2.5

    assert Stream(Quick).ask()["heartbeat"] == 2.5
    assert Stream(SSEConsumer).ask()["heartbeat"] == 15


def test_a_class_may_have_headers_of_its_own():
    class Open(SSEConsumer):
        headers = {"Access-Control-Allow-Origin": "https://example.com"}  # noqa: RUF012

    origin = [b"Access-Control-Allow-Origin", b"https://example.com"]
    assert origin in Stream(Open).ask()["headers"]


def test_retry_is_told_in_milliseconds():
    class Patient(SSEConsumer):
        retry = 1.5

        def replay(self, last_event_id, **kwargs):
            return [Event("x")]

    assert Stream(Patient).ask()["content"] == b"retry: 1500\n\ndata: x\n\n"


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "OPTIONS"])
def test_another_method_than_get_is_refused(method):
    answer = Stream(SSEConsumer).ask(method=method)
    assert (answer["status"], answer["headers"]) == (405, [[b"Allow", b"GET"]])
    assert not answer.get("more_content")


def test_a_request_with_a_long_body_is_refused():
    assert Stream(SSEConsumer).ask(body_channel="http.request.body?x")["status"] == 413


@pytest.mark.parametrize(
    ("error", "status"), [(DenyConnection, 403), (PermissionDenied, 403), (Http404, 404)]
)
def test_connect_refuses_by_an_exception(error, status):
    class Closed(SSEConsumer):
        groups = ("news",)

        def connect(self, message, **kwargs):
            raise error

    stream = Stream(Closed)
    assert stream.ask()["status"] == status
    assert list(stream.layer.group_channels("news")) == []


def test_an_error_is_500():
    class Broken(SSEConsumer):
        def connect(self, message, **kwargs):
            raise RuntimeError("broken")

    stream = Stream(Broken)
    with pytest.raises(RuntimeError):
        stream.ask()
    assert stream.layer.receive(["server.reply!"])[1]["status"] == 500


def test_a_host_that_views_would_not_serve_is_400(settings):
    settings.ALLOWED_HOSTS = ["other.example"]
    assert Stream(SSEConsumer).ask()["status"] == 400


def test_a_query_string_that_is_not_text_is_400():
    assert Stream(SSEConsumer).ask(query_string=b"a=\xff")["status"] == 400


def test_connect_sees_the_request_and_what_the_route_captured():
    seen = []

    class Room(SSEConsumer):
        def connect(self, message, room):
            seen.append((room, self.request.GET["a"], self.request.COOKIES["b"]))

    Stream(Room).ask(path="/attic", query_string=b"a=1", headers=[(b"cookie", b"b=2")])
    assert seen == [("attic", "1", "2")]


def test_the_user_of_the_session_may_be_asked_for():
    seen = []

    class Private(SSEConsumer):
        http_user = True

        def connect(self, message, **kwargs):
            seen.append(message.user.is_authenticated)

    Stream(Private).ask()
    assert seen == [False]


@pytest.mark.parametrize("name", ["connect", "replay", "connection_groups"])
def test_a_coroutine_function_is_refused_where_the_class_is_made(name):
    async def method(self, *args, **kwargs): ...

    with pytest.raises(ImproperlyConfigured, match=f"Wrong.{name} is a coroutine function"):
        type("Wrong", (SSEConsumer,), {name: method})


# Groups ---------------------------------------------------------------------------------------


def test_a_stream_is_in_its_groups():
    class News(SSEConsumer):
        groups = ("news", "weather")

    stream = Stream(News)
    stream.ask()
    for group in News.groups:
        assert list(stream.layer.group_channels(group)) == [CLIENT]


def test_the_groups_may_depend_on_the_route():
    class Room(SSEConsumer):
        def connection_groups(self, room):
            return [f"room-{room}"]

    stream = Stream(Room)
    stream.ask(path="/attic")
    assert list(stream.layer.group_channels("room-attic")) == [CLIENT]


def test_groups_that_are_no_list_are_a_mistake():
    class Wrong(SSEConsumer):
        groups = "news"

    with pytest.raises(TypeError, match="connection_groups"):
        Stream(Wrong).ask()


@pytest.fixture
def listening(settings):
    """The layer of the settings, with ``CLIENT`` in the group ``news``."""
    settings.CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_classic.layers.memory.InMemoryChannelLayer",
            "ROUTING": [],
        }
    }
    layer = channel_layers["default"].channel_layer
    layer.group_add("news", CLIENT)
    return layer


def test_an_event_to_a_group_is_a_part_of_each_answer(listening):
    send_event("news", {"a": 1}, event="update", id=7)
    assert listening.receive(["server.reply!"])[1] == {
        "content": b'data: {"a": 1}\nevent: update\nid: 7\n\n',
        "more_content": True,
    }


def test_async_code_sends_events_too(listening):
    asyncio.run(asend_event("news", "hello"))
    assert listening.receive(["server.reply!"])[1]["content"] == b"data: hello\n\n"


def test_a_bad_event_is_an_error_where_it_is_sent(listening):
    with pytest.raises(ValueError, match="the id of an event"):
        send_event("news", "x", id="1\n2")
    assert listening.receive(["server.reply!"]) == (None, None)


# Replay ---------------------------------------------------------------------------------------


class Counted(SSEConsumer):
    groups = ("news",)
    asked: list = []  # noqa: RUF012
    size = 10

    def replay(self, last_event_id, **kwargs):
        self.asked.append(last_event_id)
        members = self.message.channel_layer.group_channels("news")
        assert list(members) == [CLIENT], "what is sent from now on must not be missed"
        for number in range(int(last_event_id or 0) + 1, 11):
            yield Event("x" * self.size, id=number)


@pytest.mark.parametrize(
    ("headers", "asked"),
    [
        ((), None),
        ([(b"last-event-id", b"")], None),
        ([(b"last-event-id", b"7")], "7"),
    ],
)
def test_replay_is_asked_for_what_follows_the_last_event(headers, asked):
    Counted.asked.clear()
    answer = Stream(Counted).ask(headers=headers)
    assert Counted.asked == [asked]
    assert ids(answer) == [str(number) for number in range(int(asked or 0) + 1, 11)]


def test_the_last_id_is_utf_8():
    seen = []

    class Names(SSEConsumer):
        def replay(self, last_event_id, **kwargs):
            seen.append(last_event_id)
            return ()

    Stream(Names).ask(headers=[(b"last-event-id", "größe".encode())])
    assert seen == ["größe"]


def test_a_long_replay_comes_in_slices_and_none_is_missing():
    class Long(Counted):
        size = 400

    stream = Stream(Long, max_message_size=2600)
    seen, last, answers = [], b"", []
    while not answers or not answers[-1]["more_content"]:
        answers.append(stream.ask(headers=[(b"last-event-id", last)]))
        seen += ids(answers[-1])
        last = seen[-1].encode()
    assert seen == [str(number) for number in range(1, 11)]
    assert len(answers) > 2


def test_an_event_larger_than_a_slice_is_sent_by_itself():
    class Huge(Counted):
        size = 1500

    assert ids(Stream(Huge, max_message_size=2600).ask()) == ["1"]


def test_a_long_replay_without_ids_is_a_mistake(monkeypatch):
    monkeypatch.setattr(sse, "REPLAY", 20)

    class Nameless(SSEConsumer):
        def replay(self, last_event_id, **kwargs):
            return [Event("x" * 10)] * 3

    with pytest.raises(ValueError, match="its events need an id"):
        Stream(Nameless).ask()


# Framing, by section 9.2 of the HTML standard -------------------------------------------------


def parsed(data: bytes) -> list[tuple[str, str, str]]:
    """Type, data and last id of each event, as a browser takes the stream apart."""
    text = data.decode("utf-8").removeprefix("\ufeff")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")[:-1]
    found, kind, values, last_id = [], "", [], ""
    for line in lines:
        if not line:
            if values:
                found.append((kind or "message", "\n".join(values), last_id))
            kind, values = "", []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            kind = value
        elif name == "data":
            values.append(value)
        elif name == "id" and "\0" not in value:
            last_id = value
    return found


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("hello", "hello"),
        ("", ""),
        (" two spaces", " two spaces"),
        ("a\nb", "a\nb"),
        ("a\r\nb\rc\n", "a\nb\nc\n"),
        ("\n\n", "\n\n"),
        (":no comment", ":no comment"),
        ("data: x\n\nevent: forged", "data: x\n\nevent: forged"),
        ("größe ✓ \u2028 \x0b \x85", "größe ✓ \u2028 \x0b \x85"),
    ],
)
def test_a_text_comes_out_as_it_went_in(text, seen):
    assert parsed(Event(text).encode()) == [("message", seen, "")]


def test_events_follow_each_other():
    stream = Event("a", "one", 1).encode() + Event("b").encode() + Event([1], "two", "x").encode()
    assert parsed(stream) == [("one", "a", "1"), ("message", "b", "1"), ("two", "[1]", "x")]


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\0b"])
@pytest.mark.parametrize("name", ["event", "id"])
def test_a_name_or_an_id_of_several_lines_is_refused(name, value):
    with pytest.raises(ValueError, match=f"the {name} of an event is one line"):
        Event("x", **{name: value}).encode()


def test_what_json_cannot_carry_is_refused():
    with pytest.raises(TypeError):
        Event(object()).encode()
