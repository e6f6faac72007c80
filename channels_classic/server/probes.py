"""Probes: the paths where a supervisor or a balancer asks how this server is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from channels_classic.server.vitals import Vitals

if TYPE_CHECKING:
    from channels_classic.server.bus import Bus
    from channels_classic.server.client import Send
    from channels_classic.server.options import ServerOptions

STOPPING = "this server is stopping"


class Probes:
    """Answered by the server itself: no worker, and no message, has a part in it.

    200 when all is well, else 503 with the reasons: ``{"status": "failing", "reasons": [...]}``.
    """

    def __init__(self, options: ServerOptions) -> None:
        self._options = options
        self._paths = {options.live_path, options.ready_path} - {""}
        self._vitals: Vitals | None = None

    def are_for(self, scope: Mapping[str, Any]) -> bool:
        """Whether a connection asks for one of them."""
        return scope["type"] == "http" and scope["path"] in self._paths

    def start(self, bus: Bus) -> None:
        """Begin to look at ``bus``: now, so that a stall of long ago is known when asked for."""
        if self._paths and self._vitals is None:
            self._vitals = Vitals(bus, self._options)

    async def stop(self) -> None:
        """Look no more; probes of a server without a bus are not ready."""
        vitals, self._vitals = self._vitals, None
        if vitals is not None:
            await vitals.stop()

    async def answer(self, scope: Mapping[str, Any], send: Send, *, draining: bool) -> None:
        """Answer a connection that asks; a server that is ``draining`` is not ready."""
        if await is_refused(scope, send):
            return
        reasons = await self._reasons(scope["path"], draining)
        status = {"status": "failing", "reasons": reasons} if reasons else {"status": "ok"}
        body = json.dumps(status).encode() + b"\n"
        await reply(scope, send, body, status=503 if reasons else 200)

    async def _reasons(self, path: str, draining: bool) -> list[str]:
        if self._vitals is None:
            return [STOPPING]
        if path == self._options.live_path:
            return self._vitals.not_live()
        await self._vitals.has_looked()
        return [*([STOPPING] if draining else []), *self._vitals.not_ready()]


async def is_refused(scope: Mapping[str, Any], send: Send) -> bool:
    """Whether a request only asks, as all may do here; else it has got its answer."""
    if scope["method"] in ("GET", "HEAD"):
        return False
    body = b'{"status": "GET or HEAD"}\n'
    await reply(scope, send, body, (b"allow", b"GET, HEAD"), status=405)
    return True


async def reply(
    scope: Mapping[str, Any],
    send: Send,
    body: bytes,
    *headers: tuple[bytes, bytes],
    status: int = 200,
    kind: bytes = b"application/json",
) -> None:
    """Send ``body``, which is of this time alone, to who asks for something of the server's own."""
    fixed = [
        (b"content-type", kind),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": [*fixed, *headers]})
    sent = b"" if scope["method"] == "HEAD" else body
    await send({"type": "http.response.body", "body": sent, "more_body": False})
