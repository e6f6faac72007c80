"""How connections end when the server stops; what the engine, uvicorn 0.54, does is too hasty."""

from __future__ import annotations

import asyncio
import random

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from channels_classic.server.engines.drain import cut, spread
from channels_classic.server.options import Limits

#: How often it is looked who is left, in seconds.
_TICK = 0.05


async def finish(state: ServerState, limits: Limits, *, at_least: float = 0) -> None:
    """Return when all connections have ended; those that take too long are cut.

    For ``at_least`` so many seconds there may be connections that nobody knows of yet.
    """
    try:
        async with asyncio.timeout(limits.graceful_timeout):
            await _let_all_end(state, limits, at_least)
    except TimeoutError:
        await cut([each.transport.abort for each in state.connections], state.tasks, limits)


async def _let_all_end(state: ServerState, limits: Limits, at_least: float) -> None:
    """Have each end; also those that are made, or become WebSockets, meanwhile."""
    loop = asyncio.get_running_loop()
    sockets = [each for each in state.connections if _is_open_socket(each)]
    seconds = spread(len(sockets), limits)
    for each in sockets:
        loop.call_later(random.uniform(0, seconds), each.shutdown)
    all_asked = loop.time() + seconds
    all_here = loop.time() + at_least
    while state.connections or state.tasks or loop.time() < all_here:
        for each in list(state.connections):
            if not isinstance(each, WebSocketsSansIOProtocol) or (
                _is_open_socket(each) and loop.time() > all_asked
            ):
                each.shutdown()
        await asyncio.sleep(_TICK)


def _is_open_socket(connection: object) -> bool:
    """Whether it is a WebSocket that can be told to come back: its handshake is over."""
    return isinstance(connection, WebSocketsSansIOProtocol) and connection.handshake_complete
