"""The dashboard's sockets have the address of its page."""

from __future__ import annotations

from channels_classic import route_class
from dashboard.consumers import Dashboard

channel_routing = [route_class(Dashboard, path=r"^/dashboard/$")]
