"""UvicornConfig: what the engine, uvicorn 0.54, is told, and its protocol classes must know."""

from __future__ import annotations

from typing import Any

import uvicorn

from channels_classic.server.engines.census import Census
from channels_classic.server.options import Limits


class UvicornConfig(uvicorn.Config):
    """Has the limits of connections, and tells the application of clients that broke them."""

    def __init__(self, application: Any, *, limits: Limits, **options: Any) -> None:
        super().__init__(
            application,
            ws_ping_interval=limits.ping_interval,
            ws_ping_timeout=limits.ping_timeout,
            ws_max_size=limits.max_message_size,
            ws_per_message_deflate=limits.deflate,
            **options,
        )
        self.limits = limits
        self._application = application
        #: The connections of all the listening sockets together.
        self.census = Census(limits, self.note)

    def note(self, counter: str, text: str) -> None:
        """Count, by a value of the layers' ``Counter``, and log sparingly."""
        self._application.note(counter, text)
