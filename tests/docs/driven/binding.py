"""What members of the group are told of a change, and what a client may not do."""

from __future__ import annotations

import json

from project.bindings import Counters
from project.models import Counter

from channels_classic import Group, channel_layers
from channels_classic.message import Message

LAYER = channel_layers["default"]
Group("counters").add("server!1")


def told() -> dict[str, object]:
    _, content = LAYER.receive(["server!"])
    assert content is not None
    frame = json.loads(content["text"])
    assert frame["stream"] == "counters"
    return frame["payload"]


counter = Counter.objects.create(name="visits", value=1, secret="x")
assert told()["action"] == "create"
counter.value = 2
counter.save()
assert told() == {
    "action": "update",
    "pk": counter.pk,
    "data": {"name": "visits", "value": 2},
    "model": "project.counter",
}
wish = {"stream": "counters", "payload": {"action": "delete", "pk": counter.pk}}
frame = {"reply_channel": "server!1", "path": "/counters/", "text": json.dumps(wish)}
Counters(Message(frame, "websocket.receive", LAYER))
assert Counter.objects.get() == counter
