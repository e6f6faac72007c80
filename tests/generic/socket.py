"""A WebSocket as its consumers see it: messages in, answers out, nothing in between."""

from __future__ import annotations

import json

from channels_classic.asgi import ChannelLayerWrapper
from channels_classic.dispatch import dispatch
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.message import Message
from channels_classic.outbox import Outbox

REPLY_CHANNEL = "server.reply!socket"


class Socket:
    """One socket on a layer of its own, or on that of another socket."""

    def __init__(self, *routes, beside=None, name=REPLY_CHANNEL):
        self.layer = beside.layer if beside else InMemoryChannelLayer()
        self.wrapper = ChannelLayerWrapper(self.layer, "default", list(routes))
        self.name = name
        self.order = 0

    def connect(self, **content):
        return self.run("websocket.connect", headers=[], query_string=b"", **content)

    def receive(self, frame=None, **content):
        if frame is not None:
            content["text"] = json.dumps(frame)
        return self.run("websocket.receive", **content)

    def disconnect(self):
        return self.run("websocket.disconnect", code=1000)

    def message(self, channel, **content):
        content = {"reply_channel": self.name, "path": "/", "order": self.order, **content}
        self.order += 1
        return Message(content, channel, self.wrapper)

    def run(self, channel, **content):
        """Take one message through its consumer; the error it ended with, if it did."""
        result = dispatch(self.message(channel, **content), self.wrapper.router)
        box: Outbox = result.outbox
        box.flush()
        return result.error

    def replies(self):
        """What has been sent to the socket since the last time."""
        found = []
        while True:
            _, content = self.layer.receive(["server.reply!"])
            if content is None:
                return found
            found.append(content)

    def frames(self):
        """The JSON that has been sent to it."""
        return [json.loads(reply["text"]) for reply in self.replies() if "text" in reply]

    def groups(self, *names):
        """Those of ``names`` that the socket is in."""
        return [name for name in names if self.name in self.layer.group_channels(name)]
