"""The consumers of a small site, and its routes, for the tests of the test tools."""

from __future__ import annotations

import asyncio

from channels_classic.channel import Channel, Group
from channels_classic.exceptions import ConsumeLater, DenyConnection, WebsocketCloseException
from channels_classic.policy import consumer
from channels_classic.routing import route

runs = []


def connect(message, room="lobby"):
    message.reply_channel.send({"accept": True})
    Group(room).add(message.reply_channel)


def echo(message):
    message.reply_channel.send({"text": message["text"]})


def returns(message):
    return "what it returned"


def fails(message):
    message.reply_channel.send({"text": "sent before the error"})
    raise LookupError("a mistake in the consumer")


def denies(message):
    raise DenyConnection


def closes(message):
    raise WebsocketCloseException(4001)


def third_time_lucky(message):
    runs.append((message.get("__retries__", 0), message.__doomed__))
    message.reply_channel.send({"text": f"run {len(runs)}"})
    if len(runs) < 3:
        raise ConsumeLater


def never_ready(message):
    runs.append(message.__doomed__)
    message.reply_channel.send({"text": "too early"})
    raise ConsumeLater


@consumer(max_attempts=3)
def tried_again(message):
    runs.append(message["number"])
    message.reply_channel.send({"text": "will be sent by the try that works"})
    raise LookupError("a mistake in the consumer")


@consumer(max_attempts=1, time_limit=0.05)
def too_slow(message):
    while True:
        pass


async def async_echo(message):
    await asyncio.sleep(0)
    message.reply_channel.send({"text": message["text"]})
    return "what it returned"


def chain(message):
    runs.append(message["left"])
    if message["left"]:
        Channel("chain").send({"left": message["left"] - 1})


def endless(message):
    Channel("endless").send({})


def periodic(message):
    runs.append(message["at"])
    if message["at"] < 3:
        Channel("periodic").send({"at": message["at"] + 1}, delay=3600)


def announce(message):
    Group("news").send({"text": '{"title": "hello"}'})


routing = [
    route("websocket.connect", connect, path=r"^/(?P<room>\w+)/$"),
    route("websocket.connect", connect, path=r"^/$"),
    route("websocket.receive", echo),
    *[
        route(each.__name__.replace("_", "-"), each)
        for each in (
            *(returns, fails, denies, closes, third_time_lucky, never_ready, tried_again),
            *(too_slow, async_echo, chain, endless, periodic, announce),
        )
    ],
]
