"""The streams have addresses beside those of their pages."""

from __future__ import annotations

from channels_classic import route_class
from headlines.consumers import Headlines, HtmlHeadlines

channel_routing = [
    route_class(Headlines, path=r"^/headlines/stream/$"),
    route_class(HtmlHeadlines, path=r"^/headlines/htmx/stream/$"),
]
