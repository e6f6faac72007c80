"""The channel layer, for the interface server and the commands."""

from __future__ import annotations

import os

from channels_classic.asgi import get_channel_layer

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")

channel_layer = get_channel_layer()
