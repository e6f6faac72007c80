"""The thumbnailer's own channels, and the messages of sockets at ``/thumbnails/<photo>/``."""

from __future__ import annotations

from channels_classic import route
from thumbnailer.consumers import connect, disconnect, late, thumbnail

_PHOTO = r"^/thumbnails/(?P<photo>[0-9a-f-]{36})/$"

channel_routing = [
    route("thumbnailer", thumbnail),
    route("thumbnailer.late", late),
    route("websocket.connect", connect, path=_PHOTO),
    route("websocket.disconnect", disconnect, path=_PHOTO),
]
