"""run_server: open the sockets, and hand the application to an ASGI engine."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from channels_classic.server.engines.choice import make_engine
from channels_classic.server.family import Inheritance
from channels_classic.server.options import Limits, Listen
from channels_classic.server.processes import Processes
from channels_classic.server.sockets import address_of, opened
from channels_classic.stopping import on_stop

if TYPE_CHECKING:
    from channels_classic.server.app import InterfaceServer

logger = logging.getLogger("channels_classic.server")

#: How long a stop may take beyond the time for requests in flight, in seconds.
_OVERTIME = 15.0


def run_server(
    application: InterfaceServer,
    listen: Listen,
    limits: Limits,
    *,
    signal_handlers: bool = True,
    on_ready: Callable[[list[str]], None] | None = None,
    inheritance: Inheritance | None = None,
) -> None:
    """Serve until a signal asks to stop; ``on_ready`` is told the addresses.

    With an ``inheritance`` the sockets are those of the parent, which may ask to stop, too. Raises
    ``CannotListen`` when an address or the certificate cannot be used, and ``BadOption`` when the
    engine is not installed.
    """
    engine = make_engine(application, listen, limits)
    with (
        contextlib.nullcontext(inheritance.sockets()) if inheritance else opened(listen) as sockets,
        _watchdog(limits.graceful_timeout + _OVERTIME, wanted=signal_handlers) as watch,
    ):

        def stop() -> None:
            watch()
            application.drain()
            engine.stop()

        with on_stop(stop, wanted=signal_handlers):
            if inheritance is not None:
                application.on_started = inheritance.say_ready
                inheritance.watch(stop)
            if on_ready is not None:
                on_ready(_addresses(sockets, listen))
            engine.serve_on(sockets)


def run_processes(
    command: Sequence[str],
    listen: Listen,
    number: int,
    *,
    on_ready: Callable[[list[str]], None],
) -> int:
    """Keep ``number`` processes running ``command``, which calls ``run_server``, on one port.

    Returns the exit status: 0 after a signal, or that of a process that could not start. Raises
    ``CannotListen`` when an address cannot be used.
    """
    with opened(listen) as sockets:
        addresses = _addresses(sockets, listen)
        return Processes(command, sockets, number, on_ready=lambda: on_ready(addresses)).run()


def _addresses(sockets: Sequence[socket.socket], listen: Listen) -> list[str]:
    return [address_of(each, tls=bool(listen.ssl_certfile)) for each in sockets]


@contextlib.contextmanager
def _watchdog(seconds: float, *, wanted: bool) -> Iterator[Callable[[], None]]:
    """Once the function it gives was called, the block has so long; then the process ends."""

    def bite() -> None:
        logger.error("The server has not stopped within %g s: it ends now", seconds)
        os._exit(1)

    timer = threading.Timer(seconds, bite)
    timer.daemon = True

    def start() -> None:
        if wanted:
            with contextlib.suppress(RuntimeError):  # it is asked for by several ways at once
                timer.start()

    try:
        yield start
    finally:
        timer.cancel()
