"""What can be set about an interface server, with safe defaults."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

#: ``(protocol, action, details)``; see ``access``.
ActionLogger = Callable[[str, str, dict[str, Any]], None]

_ABOVE_ZERO = (
    *("http_timeout", "websocket_connect_timeout", "max_body", "body_part"),
    *("max_pending", "max_pending_bytes", "max_lane", "max_lane_bytes"),
)


@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """Times are seconds, sizes are bytes."""

    #: Time for the answer to begin, and between two parts of it.
    http_timeout: float = 120
    #: Longest life of a WebSocket; None for no limit.
    websocket_timeout: float | None = None
    #: Time for a consumer to accept or refuse a WebSocket.
    websocket_connect_timeout: float = 5
    #: Subprotocols that are accepted; a client gets the first of its offers that is here.
    ws_protocols: Sequence[str] = ()
    #: Where the application is mounted (SCRIPT_NAME); empty to believe the ASGI server.
    root_path: str = ""
    #: Largest request body.
    max_body: int = 1024**3
    #: Bodies up to this travel in the request message itself, longer ones in parts of this size.
    body_part: int = 64 * 1024
    #: What may wait for a client that does not read its WebSocket: messages, and bytes.
    max_pending: int = 1000
    max_pending_bytes: int = 4 * 1024**2
    #: Whether the messages of one WebSocket are run in order, one at a time, or else in parallel.
    ordering: bool = True
    #: What may wait for its turn before the client is not read from: messages, and bytes.
    max_lane: int = 100
    max_lane_bytes: int = 1024**2
    #: How long a request waits for room on a full channel before it is answered 503.
    full_wait: float = 1.0
    #: Told of every finished request and every step of a WebSocket.
    action_logger: ActionLogger | None = None

    def __post_init__(self) -> None:
        for name in _ABOVE_ZERO:
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, not {getattr(self, name)!r}")
        if self.root_path and not self.root_path.startswith("/"):
            raise ValueError(f"root_path must begin with '/', not {self.root_path!r}")
