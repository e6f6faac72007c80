"""Consumers that echo."""

from __future__ import annotations

from channels_classic.routing import route


def connect(message):
    message.reply_channel.send({"accept": True})


def echo(message):
    message.reply_channel.send({key: message[key] for key in ("text", "bytes") if key in message})


channel_routing = [
    route("websocket.connect", connect),
    route("websocket.receive", echo),
]
