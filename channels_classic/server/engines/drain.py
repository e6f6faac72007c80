"""What is the same at the end of a server, whichever engine it runs."""

from __future__ import annotations

import asyncio
import logging
import select
import socket
from collections.abc import Callable, Iterable, Sequence

from channels_classic.server.options import Limits

logger = logging.getLogger("channels_classic.server")

#: How long a client that is idle when the server stops may still send a request, in seconds: it
#: may be on its way.
LAST_CALL = 1.0
#: WebSockets that are closed in a second, in no order: all of their clients come back at once.
_SOCKETS_PER_SECOND = 1000
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


def spread(sockets: int, limits: Limits) -> float:
    """The seconds over which so many WebSockets are closed, so that there is time to answer."""
    longest = min(limits.close_spread, limits.graceful_timeout / 2)
    return min(longest, sockets / _SOCKETS_PER_SECOND)


async def cut(
    aborts: Sequence[Callable[[], object]], tasks: set[asyncio.Task[None]], limits: Limits
) -> None:
    """Connections first, by their ``aborts``: then most of the live ``tasks`` end by themselves."""
    logger.warning(
        "Cut %d connections that did not end within %g s", len(aborts), limits.graceful_timeout
    )
    for abort in aborts:
        abort()
    if tasks:
        await asyncio.wait(tasks, timeout=_ENDING)
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=_ENDING)
