"""The way in for interface servers: ours by ``channel_layer``, any other by ``application``."""

from __future__ import annotations

import os

from channels_classic.asgi import get_channel_layer
from channels_classic.server import InterfaceServer

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

channel_layer = get_channel_layer()
application = InterfaceServer(channel_layer)
