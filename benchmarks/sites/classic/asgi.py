"""This project's channel layer, for its interface server."""

from __future__ import annotations

from channels_classic.asgi import get_channel_layer

channel_layer = get_channel_layer()
