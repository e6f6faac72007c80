"""The interface server: HTTP and WebSocket traffic to messages on a channel layer, and back."""

from __future__ import annotations

from channels_classic.server.app import InterfaceServer
from channels_classic.server.options import ServerOptions

__all__ = ["InterfaceServer", "ServerOptions"]
