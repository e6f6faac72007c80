"""What the tests of bindings share: a layer of their own, those who listen, and bindings."""

from __future__ import annotations

import json

import pytest

from channels_classic.asgi import ChannelLayerWrapper, channel_layers
from channels_classic.binding.base import BindingMetaclass
from channels_classic.binding.websockets import WebsocketBinding
from channels_classic.layers.memory import InMemoryChannelLayer


@pytest.fixture
def layer():
    """The default layer, for this test alone."""
    old = channel_layers["default"]
    layer = InMemoryChannelLayer()
    channel_layers.set("default", ChannelLayerWrapper(layer, "default", []))
    yield layer
    channel_layers.set("default", old)


class Groups:
    """Groups with a listener each."""

    def __init__(self, layer, names):
        self.layer = layer
        self.names = names
        for name in names:
            layer.group_add(name, f"listener.{name}")

    def heard(self):
        """What was sent since the last time: the group, and the frame."""
        return [(name, frame) for name in self.names for frame in self._frames(name)]

    def actions(self):
        """In short: by group, what was done."""
        found = {}
        for name, frame in self.heard():
            found.setdefault(name, []).append(frame["payload"]["action"])
        return found

    def data(self):
        """The data of the one frame that was sent."""
        [(_, frame)] = self.heard()
        return frame["payload"]["data"]

    def _frames(self, name):
        while True:
            _, content = self.layer.receive([f"listener.{name}"])
            if content is None:
                return
            yield json.loads(content["text"])


@pytest.fixture
def groups(layer):
    """``groups(name, …)`` listens to them."""
    return lambda *names: Groups(layer, names)


@pytest.fixture
def bindings():
    """Bindings that are defined in a test go with it."""
    classes = list(BindingMetaclass.binding_classes)
    before = {model: list(each.bindings) for model, each in BindingMetaclass.watchers.items()}
    yield
    BindingMetaclass.binding_classes[:] = classes
    for model, watcher in BindingMetaclass.watchers.items():
        watcher.bindings[:] = before.get(model, [])


@pytest.fixture
def bind(bindings):
    """``bind(model, …)``: a binding of it that tells one group, ``all``."""

    def make(model, *, base=WebsocketBinding, names=lambda instance: ["all"], **attributes):
        body = {
            "model": model,
            "stream": "rows",
            "fields": "__all__",
            "channel_session_user": False,
            "group_names": classmethod(lambda cls, instance: names(instance)),
            "has_permission": lambda self, user, action, pk: True,
            **attributes,
        }
        return type(base)("Made", (base,), body)

    return make
