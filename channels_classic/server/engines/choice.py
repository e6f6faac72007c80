"""Which engine runs: uvicorn, unless another one is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

from channels_classic.server.options import BadOption, Limits, Listen

if TYPE_CHECKING:
    import socket

    from channels_classic.server.app import InterfaceServer

#: By name: where its class is, and the extra that brings what it needs.
_ENGINES = {
    "uvicorn": ("uvicorn_server", "UvicornEngine", ""),
    "hypercorn": ("hypercorn_server", "HypercornEngine", "http2"),
}


class Engine(Protocol):
    """Turns bytes into ASGI events, and back."""

    def serve_on(self, sockets: Sequence[socket.socket]) -> None:
        """Serve until ``stop``."""

    def stop(self) -> None:
        """Finish what is in flight, then end. May be called from a signal handler, or a thread."""


def make_engine(application: InterfaceServer, listen: Listen, limits: Limits) -> Engine:
    """The engine that ``listen`` names; ``BadOption`` when it is not installed or unknown.

    It is imported only now: not everybody has what it needs.
    """
    if listen.engine not in _ENGINES:
        raise BadOption(f"engine must be one of {', '.join(_ENGINES)}, not {listen.engine!r}")
    module, name, extra = _ENGINES[listen.engine]
    try:
        found = import_module(f"channels_classic.server.engines.{module}")
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if not extra or missing == "channels_classic":
            raise
        raise BadOption(
            f"the engine {listen.engine} needs {missing}: pip install 'channels-classic[{extra}]'"
        ) from error
    engine: Engine = getattr(found, name)(application, listen, limits)
    return engine
