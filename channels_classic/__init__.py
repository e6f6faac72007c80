"""Channels Classic: a message bus for Django. The public names."""

from __future__ import annotations

from channels_classic.asgi import channel_layers
from channels_classic.channel import Channel, Group
from channels_classic.conf import DEFAULT_CHANNEL_LAYER
from channels_classic.policy import consumer
from channels_classic.routing import include, route, route_class

__version__ = "2.0.0.dev0"

__all__ = [
    "DEFAULT_CHANNEL_LAYER",
    "Channel",
    "Group",
    "__version__",
    "channel_layers",
    "consumer",
    "include",
    "route",
    "route_class",
]
