"""One page, and the consumers of its socket: what comes goes back, on its stream."""

from __future__ import annotations

import json
import os

from django.http import HttpRequest, HttpResponse
from django.templatetags.static import static
from django.urls import path

from channels_classic import route
from channels_classic.message import Message


def page(request: HttpRequest) -> HttpResponse:
    """A page that loads the bridge and does nothing with it: the test does."""
    script = static("channels_classic/websocketbridge.js")
    return HttpResponse(
        f'<!doctype html><link rel=icon href="data:,"><script src="{script}"></script>'
    )


def accept(message: Message) -> None:
    """Let everybody in."""
    message.reply_channel.send({"accept": True})


def answer(message: Message) -> None:
    """Send back what came, on its stream if it has one, with the process that did it."""
    content = json.loads(message["text"])
    if "stream" in content:
        content["payload"]["process"] = os.getpid()
    message.reply_channel.send({"text": json.dumps(content)})


urlpatterns = [path("", page)]
channel_routing = [route("websocket.connect", accept), route("websocket.receive", answer)]
