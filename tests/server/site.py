"""A whole site in one process, for the real engine: the layer, and a worker thread beside it.

``channels-classic server tests.server.site:channel_layer`` serves it. What consumers are told of a
socket's end they write to the standard output.
"""

from __future__ import annotations

import json
import os
import threading
import time

from channels_classic.asgi import ChannelLayerWrapper
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.routing import route
from channels_classic.server import InterfaceServer
from channels_classic.worker import Worker

TEXT = [(b"content-type", b"text/plain")]
#: What /version says; sites that are made of this one have others.
VERSION = b"0"


def say(*words):
    """One line, in one piece: the log writes to the same place."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def answer(message, content, status=200, **rest):
    message.reply_channel.send({"status": status, "headers": TEXT, "content": content, **rest})


PAGES = {
    "/hello": lambda: b"hello",
    "/pid": lambda: b"%d" % os.getpid(),
    "/version": lambda: VERSION,
    "/counts": lambda: json.dumps(channel_layer.global_statistics()).encode(),
}


def http(message):
    path = message["path"]
    if path in PAGES:
        answer(message, PAGES[path]())
    elif path == "/slow":
        say("slow began")
        time.sleep(0.5)  # the application works
        answer(message, b"slow but sure")
    elif path == "/never":
        say("never began")
    elif path == "/big":
        answer(message, b"x" * 500_000, more_content=True)
        for number in range(20):
            part = {"content": b"x" * 500_000, "more_content": number < 19}
            message.reply_channel.send(part)
    elif path == "/message":
        shown = {key: message.get(key) for key in ("scheme", "client", "server", "path")}
        shown["headers"] = [[name.decode(), value.decode()] for name, value in message["headers"]]
        answer(message, json.dumps(shown).encode())
    elif path == "/length":
        answer(message, str(len(message["body"]) + rest(message)).encode())
    else:
        answer(message, b"nothing here", 404)


def rest(message):
    """How long the parts of the body are that follow the message."""
    length = 0
    while "body_channel" in message:
        _, part = message.channel_layer.receive([message["body_channel"]], block=True)
        length += len(part["content"])
        if not part["more_content"]:
            break
    return length


def connect(message):
    if message["path"] == "/late":
        say("late began")
        time.sleep(0.5)  # the application makes up its mind
    message.reply_channel.send({"accept": message["path"] != "/refused"})


def receive(message):
    text = message.get("text")
    if message["path"] == "/silent":
        return
    if text is not None and text.startswith("work "):
        say(text, "began")
        time.sleep(0.3)  # the application works
        say(text, "ended")
    elif text is not None and text.startswith("much "):
        much(message, int(text.removeprefix("much ")))
    elif text is not None and text.startswith("close "):
        message.reply_channel.send({"close": int(text.removeprefix("close "))})
    else:
        message.reply_channel.send(
            {key: message[key] for key in ("text", "bytes") if key in message}
        )


def much(message, number):
    """Half a MiB, so many times: groups, unlike a single sender, wait for nobody."""
    message.channel_layer.group_add("much", message.reply_channel.name)
    for _ in range(number):
        message.channel_layer.send_group("much", {"bytes": bytes(512 * 1024)})
    message.channel_layer.group_discard("much", message.reply_channel.name)


def disconnect(message):
    say("disconnected", message["path"], message["code"])


channel_layer = InMemoryChannelLayer()
#: For the tests of the command: other things than a layer that it may be pointed at.
wrapper = ChannelLayerWrapper(
    channel_layer,
    "default",
    [
        route("http.request", http),
        route("websocket.connect", connect),
        route("websocket.receive", receive),
        route("websocket.disconnect", disconnect),
    ],
)
application = InterfaceServer(channel_layer, max_body=10, http_timeout=7)
not_a_layer = object()

threading.Thread(target=Worker(wrapper, signal_handlers=False).run, daemon=True).start()
