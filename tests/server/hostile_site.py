"""The site under attack: its consumers write to the standard output what they are asked to do.

``channels-classic server tests.server.hostile_site:channel_layer`` serves it. With the URL of a
Redis in ``HOSTILE_REDIS``, ``python -m tests.server.hostile_site`` is its worker; without, worker
threads run beside the server. ``HOSTILE_GRACE`` is how long a body may be as slow as it likes.
"""

from __future__ import annotations

import ast
import json
import os
import threading
import time
from urllib.parse import parse_qs

from django.conf import settings

from channels_classic.asgi import ChannelLayerWrapper
from channels_classic.exceptions import ChannelFull
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.layers.redis import RedisChannelLayer
from channels_classic.routing import route
from channels_classic.server.engines import pace
from channels_classic.worker import WorkerGroup

TEXT = [(b"content-type", b"text/plain")]
PART = bytes(16 * 1024)
#: Parts of the long answer: 32 MiB.
PARTS = 2048


def say(*words):
    """One line, whole, whatever the other threads say."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def answer(message, content, status=200):
    message.reply_channel.send({"status": status, "headers": TEXT, "content": content})


def http(message):
    path = message["path"]
    say("ran", message["method"], ascii(path))
    if path == "/message":
        shown = {key: message.get(key) for key in ("scheme", "client", "path")}
        headers = [[n.decode("latin-1"), v.decode("latin-1")] for n, v in message["headers"]]
        answer(message, json.dumps({**shown, "headers": headers}).encode())
    elif path == "/length":
        answer(message, str(len(message["body"]) + rest(message)).encode())
    elif path == "/long":
        long(message, PARTS)
    elif path == "/medium":
        long(message, 64)
    elif path == "/raw":
        raw(message)
    elif path == "/redirect":
        to = parse_qs(message["query_string"].decode("latin-1"))["to"][0]
        message.reply_channel.send({"status": 302, "headers": [(b"location", to.encode())]})
    elif path != "/never":
        answer(message, b"hello")


def rest(message):
    """How long the parts of the body are that follow the message."""
    length = 0
    while "body_channel" in message:
        _, part = message.channel_layer.receive([message["body_channel"]], block=True)
        length += len(part.get("content", b""))
        if not part.get("more_content"):
            break
    return length


def long(message, parts):
    """An answer of so many parts, as long as somebody takes them."""
    put(message, {"status": 200, "headers": TEXT, "content": b"", "more_content": True})
    for number in range(1, parts + 1):
        if not put(message, {"content": PART, "more_content": number < parts}):
            return say("left", message["path"])
    return say("finished", message["path"])


def put(message, content):
    """Whether the reply channel has taken ``content``; False when it is gone."""
    channel = message.reply_channel
    while True:
        try:
            channel.send(content, immediately=True)
        except ChannelFull:
            if message.channel_layer.is_gone(channel.name):
                return False
            time.sleep(0.01)  # as a view that streams does
        else:
            return True


def raw(message):
    """Answer as the body of the request says: it is the list of the replies, as Python writes."""
    for reply in ast.literal_eval(message["body"].decode()):
        message.reply_channel.send(reply)


def left(message):
    say("left", ascii(message["path"]))


def connect(message):
    say("connecting", ascii(message["path"]))
    if message["path"] != "/never":
        message.reply_channel.send({"accept": message["path"] != "/refused"})


def receive(message):
    path = message["path"]
    if path == "/raw":
        for reply in ast.literal_eval(message["text"]):
            message.reply_channel.send(reply)
    elif path == "/blocked":
        while not message.channel_layer.is_gone(message.reply_channel.name):
            time.sleep(0.02)  # the application works for as long as the socket is open
    elif path == "/much":
        for _ in range(int(message["text"])):
            message.reply_channel.send({"bytes": PART})
    else:
        reply = {key: message[key] for key in ("text", "bytes") if key in message}
        message.reply_channel.send(reply)


def disconnect(message):
    say("disconnected", ascii(message["path"]), message["code"])


def workers(layer, **options):
    """Many threads: a consumer that is at work for long blocks nobody else."""
    routes = [
        route("http.request", http),
        route("http.disconnect", left),
        route("websocket.connect", connect),
        route("websocket.receive", receive),
        route("websocket.disconnect", disconnect),
    ]
    wrapper = ChannelLayerWrapper(layer, "default", routes)
    return WorkerGroup(wrapper, n_threads=12, **options)


if not settings.configured:
    settings.configure(ALLOWED_HOSTS=["*"])
pace.GRACE = float(os.environ.get("HOSTILE_GRACE", pace.GRACE))
REDIS = os.environ.get("HOSTILE_REDIS")
channel_layer = RedisChannelLayer(hosts=[REDIS]) if REDIS else InMemoryChannelLayer()

if __name__ == "__main__":
    group = workers(channel_layer)
    group.on_announced = lambda: say("ready")
    group.run()
elif not REDIS:
    threading.Thread(target=workers(channel_layer, signal_handlers=False).run, daemon=True).start()
