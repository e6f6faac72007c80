"""The channel layer, for the interface server."""

from __future__ import annotations

from channels_classic.asgi import get_channel_layer

channel_layer = get_channel_layer()
