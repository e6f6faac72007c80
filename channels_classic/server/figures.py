"""Figures: the path where Prometheus finds the metrics, and where processes gather theirs."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from channels_classic.server import probes
from channels_classic.server.options import BadOption, ServerOptions

if TYPE_CHECKING:
    from channels_classic.server.client import Receive, Send
    from channels_classic.server.metrics import Serve, ServerMetrics

logger = logging.getLogger("channels_classic.server")

#: The variable of the environment that tells the library where processes gather their figures.
FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_LIBRARY = "prometheus_client"
#: How the folders of ours begin, and the file in each that its parent keeps locked.
_PREFIX, _LOCK = "channels-classic-metrics-", "lock"
#: A folder so new, in seconds, may not be locked yet.
_NEW = 60.0


class Figures:
    """Answered by the server itself: no worker, and no message, has a part in it."""

    def __init__(self, path: str, metrics: ServerMetrics) -> None:
        self._path = path
        self._metrics = metrics
        self.refused = metrics.refused

    def are_for(self, scope: Mapping[str, Any]) -> bool:
        """Whether a connection asks for them."""
        return scope["type"] == "http" and str(scope["path"]) == self._path

    async def answer(self, scope: Mapping[str, Any], send: Send) -> None:
        """Answer a connection that asks."""
        if not await probes.is_refused(scope, send):
            body, kind = await self._metrics.show(scope["headers"])
            await probes.reply(scope, send, body, kind=kind.encode())

    async def count(
        self, serve: Serve, scope: Mapping[str, Any], receive: Receive, send: Send
    ) -> None:
        """Have ``serve`` serve a connection, and count what comes of it."""
        if scope["type"] == "http":
            await self._metrics.serve_http(serve, scope["method"], receive, send)
        elif scope["type"] == "websocket":
            await self._metrics.serve_websocket(serve, receive, send)
        else:
            await serve(receive, send)


def figures_of(options: ServerOptions) -> Figures | None:
    """Those that ``options`` ask for, if they do; ``BadOption`` when the library is not there.

    It is imported only now: not everybody has it, and its processes are known by now.
    """
    if not options.metrics_path:
        return None
    try:
        metrics = import_module("channels_classic.server.metrics").ServerMetrics()
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != _LIBRARY:
            raise
        raise BadOption(
            f"metrics_path needs {_LIBRARY}: pip install 'channels-classic[metrics]'"
        ) from error
    return Figures(options.metrics_path, metrics)


class Gathered:
    """The folder that the processes of one parent write their figures to, for the parent.

    It is there before they import the library, which looks for it then. A folder that the
    environment names already is used, and is for others to remove.
    """

    def __init__(self) -> None:
        self._given = os.environ.get(FOLDER, "")
        self._own, self._lock = "", -1
        self._has_library = find_spec(_LIBRARY) is not None
        if not self._given and self._has_library:
            try:
                _sweep()
                self._own = tempfile.mkdtemp(prefix=_PREFIX)
                self._lock = os.open(f"{self._own}/{_LOCK}", os.O_CREAT | os.O_RDWR)
                fcntl.flock(self._lock, fcntl.LOCK_EX)
            except OSError as error:
                logger.warning("Metrics, if any, are those of one process: no folder (%s)", error)

    @property
    def environment(self) -> dict[str, str]:
        """What the processes are to find in theirs."""
        return {FOLDER: self._own} if self._own else {}

    def forget(self, pid: int) -> None:
        """A process is gone: what it had open counts no more; what it has counted does."""
        folder = self._own or self._given
        if folder and self._has_library:
            import_module(f"{_LIBRARY}.multiprocess").mark_process_dead(pid, folder)

    def remove(self) -> None:
        """The parent ends."""
        if self._own:
            shutil.rmtree(self._own, ignore_errors=True)
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def _sweep() -> None:
    """Remove what parents have left that were killed: nobody has the lock of these."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):  # of somebody else, or somebody is alive
            if time.time() - folder.stat().st_mtime > _NEW:
                lock = os.open(folder / _LOCK, os.O_RDWR)
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(folder)
                finally:
                    os.close(lock)
