"""A site in one process for the real engine, which prints what its consumers were told.

``channels-classic server tests.parity.site:channel_layer`` serves it, with two worker threads.
"""

from __future__ import annotations

import json
import threading
import time

from channels_classic.asgi import ChannelLayerWrapper
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.routing import route
from channels_classic.worker import WorkerGroup


def http(message):
    print("request", message["path"], flush=True)
    if message["path"] == "/slow":
        time.sleep(0.3)  # the application works
    print("answer", message["path"], flush=True)
    message.reply_channel.send({"status": 200, "content": message["path"].encode()})


def connect(message):
    headers = {name.decode(): value.decode() for name, value in message["headers"]}
    print("connect", message["path"], json.dumps(headers), flush=True)
    message.reply_channel.send({"accept": True})


def receive(message):
    message.reply_channel.send({"close": True})


def disconnect(message):
    print("disconnect", message["path"], message["code"], flush=True)


channel_layer = InMemoryChannelLayer()
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

workers = WorkerGroup(wrapper, signal_handlers=False, n_threads=2)
threading.Thread(target=workers.run, daemon=True).start()
