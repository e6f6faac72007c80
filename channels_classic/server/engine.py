"""What the engine, uvicorn 0.54, does about connections, put right where it matters to us."""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol


class HttpProtocol(HttpToolsProtocol):
    """Is gone when its connection has become a WebSocket, as it is when that closes.

    Its parser holds it: only the garbage collector, which seldom looks at all that a server
    holds, would free the two.
    """

    def handle_websocket_upgrade(self) -> None:
        super().handle_websocket_upgrade()
        del self.parser


class SocketProtocol(WebSocketsSansIOProtocol):
    """Never blames a client for a pong that this server has not read; and is gone when it closes.

    A socket whose lane is full is not read from: its pong waits there, behind its messages. So long
    as that is so, and as anything else comes from the client, the deadline begins anew.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._heard = False

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.conn.parser.close()  # it holds the connection, as the parser of HTTP does

    def data_received(self, data: bytes) -> None:
        self._heard = True
        super().data_received(data)

    def send_keepalive_ping(self) -> None:
        self._heard = False
        super().send_keepalive_ping()

    def keepalive_timeout(self) -> None:
        if (self.read_paused or self._heard) and self.ping_timeout is not None:
            self._heard = False
            self.pong_timer = self.loop.call_later(self.ping_timeout, self.keepalive_timeout)
        else:
            super().keepalive_timeout()
