"""Several streams on one socket: the multiplexer and the demultiplexer of Channels 1."""

# ruff: noqa: RUF012 - as users of Channels 1 write their consumers

from __future__ import annotations

import datetime as dt
import json

import pytest

from channels_classic import Channel, Group
from channels_classic.exceptions import SendNotAvailableOnDemultiplexer
from channels_classic.generic.websockets import (
    JsonWebsocketConsumer,
    WebsocketDemultiplexer,
    WebsocketMultiplexer,
)
from tests.parity.conftest import REPLY

SEEN = []


@pytest.fixture(autouse=True)
def _nothing_seen():
    SEEN.clear()


class Chat(JsonWebsocketConsumer):
    def connect(self, message, multiplexer, **kwargs):
        SEEN.append(("connect", multiplexer.stream, kwargs))

    def receive(self, content, multiplexer, **kwargs):
        SEEN.append(("receive", content, kwargs))
        multiplexer.send({"got": content})

    def disconnect(self, message, multiplexer, **kwargs):
        SEEN.append(("disconnect", multiplexer.stream, kwargs))


class Sends(Chat):
    def receive(self, content, multiplexer, **kwargs):
        self.send({"not": "here"})


def function(message, **kwargs):
    SEEN.append((message.channel.name, message.content.get("text"), sorted(kwargs)))


class Streams(WebsocketDemultiplexer):
    consumers = {"chat": Chat, "sends": Sends, "function": function}


def frame(stream, payload):
    return json.dumps({"stream": stream, "payload": payload})


# Multiplexer -------------------------------------------------------------------------------------


def test_a_payload_goes_out_with_its_stream(bus):
    multiplexer = WebsocketMultiplexer("chat", Channel(REPLY))
    multiplexer.send({"a": 1})
    [reply] = bus.replies()
    assert json.loads(reply["text"]) == {"stream": "chat", "payload": {"a": 1}}


def test_it_knows_its_stream_and_its_reply_channel(bus):
    channel = Channel(REPLY)
    multiplexer = WebsocketMultiplexer("chat", channel)
    assert (multiplexer.stream, multiplexer.reply_channel) == ("chat", channel)


def test_encode_makes_a_reply_of_a_payload():
    reply = WebsocketMultiplexer.encode("chat", {"a": 1})
    assert json.loads(reply["text"]) == {"stream": "chat", "payload": {"a": 1}}


def test_dates_are_encoded_as_django_does():
    text = WebsocketMultiplexer.encode("chat", {"day": dt.date(2026, 1, 2)})["text"]
    assert json.loads(text)["payload"] == {"day": "2026-01-02"}


def test_a_group_gets_a_payload_with_its_stream(bus):
    Group("all").add(REPLY)
    WebsocketMultiplexer.group_send("all", "chat", {"a": 1}, close=True)
    [reply] = bus.replies()
    assert json.loads(reply["text"]) == {"stream": "chat", "payload": {"a": 1}}
    assert reply["close"] is True


# Demultiplexer -----------------------------------------------------------------------------------


def test_a_handshake_is_accepted_and_reaches_every_stream(bus):
    Streams(bus.connect(), room="a")
    assert {"accept": True} in bus.replies()
    assert ("connect", "chat", {"room": "a"}) in SEEN
    assert ("connect", "sends", {"room": "a"}) in SEEN
    assert ("websocket.connect", None, ["multiplexer", "room"]) in SEEN


def test_a_frame_reaches_its_stream_alone_with_its_payload(bus):
    Streams(bus.message(text=frame("chat", {"a": 1})), room="a")
    assert SEEN == [("receive", {"a": 1}, {"room": "a"})]
    [reply] = bus.replies()
    assert json.loads(reply["text"]) == {"stream": "chat", "payload": {"got": {"a": 1}}}


def test_a_function_may_be_a_stream(bus):
    Streams(bus.message(text=frame("function", {"a": 1})))
    [(channel, text, kwargs)] = SEEN
    assert (channel, json.loads(text), kwargs) == ("websocket.receive", {"a": 1}, ["multiplexer"])


def test_a_disconnect_reaches_every_stream(bus):
    Streams(bus.message("websocket.disconnect", code=1000))
    assert [each[:2] for each in SEEN] == [
        ("disconnect", "chat"),
        ("disconnect", "sends"),
        ("websocket.disconnect", None),
    ]


@pytest.mark.parametrize(
    "text",
    [
        '["chat", {}]',
        '{"stream": "chat"}',
        '{"payload": {}}',
        '{"stream": "chat", "payload": 1}',
        '{"stream": "other", "payload": {}}',
    ],
)
def test_a_frame_of_another_form_is_refused(bus, text):
    with pytest.raises(ValueError, match=r"stream|payload|dict"):
        Streams(bus.message(text=text))


def test_a_demultiplexer_sends_nothing_itself(bus):
    streams = Streams(bus.message(text=frame("chat", {})))
    with pytest.raises(SendNotAvailableOnDemultiplexer):
        streams.send({"a": 1})
    with pytest.raises(SendNotAvailableOnDemultiplexer):
        Streams.group_send("all", {"a": 1})


def test_a_consumer_of_a_stream_sends_with_its_multiplexer_alone(bus):
    with pytest.raises(SendNotAvailableOnDemultiplexer):
        Streams(bus.message(text=frame("sends", {})))


def test_a_consumer_of_a_stream_sends_elsewhere_as_ever(bus):
    """Weakness 11: the class lost its ``send``."""
    with pytest.raises(SendNotAvailableOnDemultiplexer):
        Streams(bus.message(text=frame("sends", {})))
    Sends(bus.message(text="{}"), multiplexer=None)
    assert bus.replies() == [{"text": '{"not": "here"}'}]


def test_a_multiplexer_of_ones_own_may_be_used(bus):
    class Loud(WebsocketMultiplexer):
        @classmethod
        def encode_json(cls, content):
            return json.dumps(content).upper()

    class LoudStreams(Streams):
        multiplexer_class = Loud

    LoudStreams(bus.message(text=frame("chat", {})))
    assert bus.replies() == [{"text": '{"STREAM": "CHAT", "PAYLOAD": {"GOT": {}}}'}]


def test_streams_share_the_channel_session(bus):
    class Remembers(Chat):
        channel_session = True

        def receive(self, content, multiplexer, **kwargs):
            SEEN.append(dict(self.message.channel_session))
            self.message.channel_session.update(content)

    class Two(WebsocketDemultiplexer):
        channel_session = True
        consumers = {"one": Remembers, "two": Remembers}

    Two(bus.message(text=frame("one", {"a": 1})))
    Two(bus.message(text=frame("two", {})))
    assert SEEN == [{}, {"a": 1}]
