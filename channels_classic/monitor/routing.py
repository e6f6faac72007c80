"""The route of the live page's socket, beside the page: included with the path of the page.

``include("channels_classic.monitor.routing.channel_routing", path=r"^/monitor")``
"""

from __future__ import annotations

from channels_classic.monitor.consumers import Live
from channels_classic.routing import route_class

channel_routing = [route_class(Live, path=r"^/live/$")]
