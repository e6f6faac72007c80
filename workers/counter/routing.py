"""The sockets of both pages are at ``/counter/``; they leave their group by closing."""

from __future__ import annotations

from channels_classic import route
from counter.consumers import connect

channel_routing = [route("websocket.connect", connect, path=r"^/counter/$")]
