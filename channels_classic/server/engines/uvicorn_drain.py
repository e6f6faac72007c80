"""How connections end when the server stops; what the engine, uvicorn 0.54, does is too hasty."""

from __future__ import annotations

import asyncio
import logging
import random
import select
import socket
from collections.abc import Iterable

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from channels_classic.server.options import Limits

logger = logging.getLogger("channels_classic.server")

#: WebSockets that are closed in a second, in no order: all of their clients come back at once.
_SOCKETS_PER_SECOND = 1000
#: How often it is looked who is left, in seconds.
_TICK = 0.05
#: How long those who wait to be accepted are seen to, and those who are cut may take, in seconds.
_ACCEPTING, _ENDING = 0.5, 1.0
#: Rounds of the event loop from an accepted connection to one that is served, and one more.
_ROUNDS = 4


async def accept_the_rest(sockets: Iterable[socket.socket]) -> None:
    """Return when nobody waits to be accepted; who comes then is refused by the system."""
    poll = select.poll()
    for each in sockets:
        poll.register(each, select.POLLIN)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _ACCEPTING
    rounds = 0  # since it was empty: the loop needs some more to make connections of them
    while rounds < _ROUNDS and loop.time() < deadline:
        rounds = 0 if poll.poll(0) else rounds + 1
        await asyncio.sleep(0)


async def finish(state: ServerState, limits: Limits, *, at_least: float = 0) -> None:
    """Return when all connections have ended; those that take too long are cut.

    For ``at_least`` so many seconds there may be connections that nobody knows of yet.
    """
    try:
        async with asyncio.timeout(limits.graceful_timeout):
            await _let_all_end(state, limits, at_least)
    except TimeoutError:
        await _cut(state, limits)


async def _let_all_end(state: ServerState, limits: Limits, at_least: float) -> None:
    """Have each end; also those that are made, or become WebSockets, meanwhile."""
    loop = asyncio.get_running_loop()
    sockets = [each for each in state.connections if _is_open_socket(each)]
    longest = min(limits.close_spread, limits.graceful_timeout / 2)
    spread = min(longest, len(sockets) / _SOCKETS_PER_SECOND)
    for each in sockets:
        loop.call_later(random.uniform(0, spread), each.shutdown)
    all_asked = loop.time() + spread
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


async def _cut(state: ServerState, limits: Limits) -> None:
    """Connections first: then most of what is left ends by itself."""
    logger.warning(
        "Cut %d connections that did not end within %g s",
        len(state.connections),
        limits.graceful_timeout,
    )
    for each in list(state.connections):
        each.transport.abort()
    if state.tasks:
        await asyncio.wait(state.tasks, timeout=_ENDING)
    for task in state.tasks:
        task.cancel()
    if state.tasks:
        await asyncio.wait(state.tasks, timeout=_ENDING)
