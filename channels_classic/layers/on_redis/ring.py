"""From the ``hosts`` option to connections, and from a name to the shard that owns it."""

from __future__ import annotations

import copy
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlsplit

import redis.asyncio.connection
import redis.connection
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AskError,
    BusyLoadingError,
    ClusterDownError,
    ReadOnlyError,
    RedisError,
    TryAgainError,
)
from redis.retry import Retry

from channels_classic.layers.names import non_local_name, positive

Host = str | tuple[str, int]
#: Called with a new connection to greet the server; ``None`` greets as redis-py does.
OnConnect = Callable[..., Any] | None

#: How long a server may take to be reached, and then for each answer until it has let us in, in
#: seconds, unless ``connection_kwargs`` have a ``socket_connect_timeout``.
CONNECT = 3.0
#: How many places the ring has, to be shared out among the shards.
_RING = 4096
#: What redis-py could be told, had the layer not its own way.
_NOT_OPTIONS = {
    "socket_timeout": "the layer bounds every wait itself; for the connect there is "
    "socket_connect_timeout",
    "protocol": "the layer speaks RESP2",
    **dict.fromkeys(
        ("retry", "retry_on_timeout", "retry_on_error"), "the layer tries again in its own way"
    ),
}
# Older servers wrap the error of a command inside a script into one of their own.
_ERRORS = (ReadOnlyError, AskError, ClusterDownError, TryAgainError, BusyLoadingError)
_TEXTS = ("UNBLOCKED force", "NOREPLICAS ", ": -READONLY ", ": -NOREPLICAS ")


class Place(NamedTuple):
    """Where a server listens."""

    host: str
    port: int


class Interruptible(Protocol):
    """A connection whose calls can be ended from any thread."""

    def interrupt(self) -> None:
        """End the call that is under way, if there is one, with an error."""


class Node:
    """How to connect to the server of one shard.

    ``host`` is ``(host, port)`` or a URL of redis-py's: ``redis://``, ``rediss://`` (TLS) or
    ``unix://``, with user, password and database number. ``connection_kwargs`` are redis-py's too,
    and ``ssl=True`` is TLS for a ``(host, port)``; those that the layer sets itself
    (``socket_timeout``, ``protocol`` and the ``retry`` ones) are refused. ``patience`` is the
    default of ``socket_connect_timeout``, in seconds. Raises ``ValueError``.
    """

    #: The hash tag that the keys of the shard have in common; empty for none.
    tag: str = ""
    #: Where the server was when last asked; ``None`` if it is always where its address says.
    #: Connections to any other place are given up before their next use.
    place: Place | None = None

    def __init__(
        self, host: Host, connection_kwargs: Mapping[str, Any], *, patience: float = CONNECT
    ) -> None:
        self.name = _public(host)
        first = {"socket_connect_timeout": patience}
        self._sync_class, kwargs = _parse(host, redis.connection, connection_kwargs)
        #: What the connections are made with, the address among it.
        self.options = {**first, **kwargs}
        self._async_class, kwargs = _parse(host, redis.asyncio.connection, connection_kwargs)
        self._async_options = {**first, **kwargs}
        #: How long to wait for the connect and for each answer of the greeting, in seconds.
        self.patience: float = positive(
            "socket_connect_timeout", self.options["socket_connect_timeout"]
        )
        try:
            self.connect(None), self.connect_async(None)
        except (TypeError, ValueError, RedisError) as error:  # what redis-py does not know
            raise ValueError(f"the options of the connection cannot be used: {error}") from None

    def connect(self, on_connect: OnConnect) -> Any:
        """A connection, not yet open, that waits at most ``patience`` seconds for an answer."""
        return self._sync_class(
            **self.options,
            socket_timeout=self.patience,
            protocol=2,  # replies have one shape on every server version
            retry=Retry(NoBackoff(), 0),
            redis_connect_func=on_connect,
        )

    def connect_async(self, on_connect: OnConnect) -> Any:
        """A connection, not yet open, for an event loop; its caller bounds the waiting."""
        return self._async_class(
            **self._async_options,
            socket_timeout=None,
            protocol=2,
            retry=AsyncRetry(NoBackoff(), 0),
            redis_connect_func=on_connect,
        )

    def at(self, place: Place) -> Node:
        """The node at another place that is connected to with the same options."""
        other = copy.copy(self)
        other.name = f"{place.host}:{place.port}"
        other.options = {**self.options, **place._asdict()}
        other._async_options = {**self._async_options, **place._asdict()}
        return other

    def find(self) -> Place | None:
        """Where the server is now; ``None`` if its address says it.

        Called before every connect. Raises ``LayerUnavailable`` when nobody knows.
        """
        return None

    async def find_async(self) -> Place | None:
        """``find`` for an event loop."""
        return None

    def look_again(self) -> None:
        """Learn early, in the next seconds, that the server has moved; see ``add_link``.

        Returns at once; called before every use.
        """

    def add_link(self, link: Interruptible) -> None:
        """``link`` is to be interrupted when the server has moved: it may wait there for long."""

    def locate(self, connection: Any) -> Place | None:
        """Make ``connection``, not open, lead to where the server is now; that is the answer too.

        Called before every connect. Raises ``LayerUnavailable``.
        """
        return _led(connection, self.find())

    async def locate_async(self, connection: Any) -> Place | None:
        """``locate`` for an event loop."""
        return _led(connection, await self.find_async())

    def forget(self) -> None:
        """A connection failed: do not trust what was known about the place of the server."""

    def advice(self, error: Exception) -> str:
        """What to do about an error for which ``is_misplaced`` holds; empty if nothing."""
        if isinstance(error, AskError):
            return ": it belongs to a Redis Cluster, which has a channel layer of its own"
        if isinstance(error, ReadOnlyError):
            return ": it is a replica; name its master, or use the channel layer for Sentinel"
        return ""


def is_misplaced(error: Exception) -> bool:
    """Whether an error reply says that this server is not the one to ask, or not now."""
    text = str(error)
    return isinstance(error, _ERRORS) or any(each in text for each in _TEXTS)


def owner(name: str, count: int) -> int:
    """Which of ``count`` shards owns a group, a process (with all its locals) or a ``?`` channel.

    All processes must count the shards alike, in the same order.
    """
    return (zlib.crc32(non_local_name(name).encode()) % _RING) * count // _RING


def nodes(hosts: Sequence[Host] | None, connection_kwargs: Mapping[str, Any] | None) -> list[Node]:
    """The servers that ``hosts`` names, one for each shard, or ``ValueError``."""
    checked = checked_hosts(hosts, [("localhost", 6379)])
    found = [Node(host, connection_kwargs or {}) for host in checked]
    for i, node in enumerate(found):
        if any(_address(node) == _address(other) for other in found[:i]):
            raise ValueError(f"hosts names {node.name} twice: each shard has a server of its own")
    return found


def checked_hosts(hosts: Any, default: list[Host]) -> list[Host]:
    """``hosts`` as a list, ``default`` when it is None, or ``ValueError``."""
    if hosts is None:
        return default
    if isinstance(hosts, (str, bytes)) or not isinstance(hosts, Sequence):
        raise ValueError(
            'hosts is a list: [("localhost", 6379)] or ["redis://localhost:6379/0"], '
            f"not a {type(hosts).__name__}"
        )
    if not hosts:
        raise ValueError("hosts names no server; leave it out for the one on this machine")
    return [_checked(host) for host in hosts]


def _checked(host: Any) -> Host:
    if isinstance(host, str) and "://" in host:
        return host
    if isinstance(host, (tuple, list)) and len(host) == 2:
        name, port = host
        if isinstance(name, str) and isinstance(port, int) and 0 < port < 65536:
            return name, port
    raise ValueError(  # it may hold a password: it is not shown
        f"hosts holds a {type(host).__name__} that is neither a (name, port) nor a URL: "
        "use redis://…, rediss://… or unix://…"
    )


def _address(node: Node) -> list[Any]:
    defaults = {"host": "localhost", "port": 6379, "path": None, "db": 0}
    return [node.options.get(key, default) for key, default in defaults.items()]


def _led(connection: Any, place: Place | None) -> Place | None:
    if place is not None:
        connection.host, connection.port = place
    return place


def _public(host: Host) -> str:
    """The name of the server for logs and errors: without its user and password."""
    if not isinstance(host, str):
        return f"{host[0]}:{host[1]}"
    parts = urlsplit(host)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _parse(host: Host, module: Any, extra: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The class of the connections, and their options; ``extra`` wins over those of a URL."""
    if isinstance(host, str):
        kwargs = _parse_url(host, module)
        connection_class = kwargs.pop("connection_class", module.Connection)
        kwargs.update(extra)
    else:
        kwargs = {"host": host[0], "port": host[1], **extra}
        is_tls = kwargs.pop("ssl", False)
        connection_class = module.SSLConnection if is_tls else module.Connection
    for name, reason in _NOT_OPTIONS.items():
        if name in kwargs:
            raise ValueError(f"{name} cannot be set: {reason}")
    return connection_class, kwargs


def _parse_url(url: str, module: Any) -> dict[str, Any]:
    try:
        return dict(module.parse_url(url))
    except ValueError as error:
        problem = str(error)
        if "Port" in problem:  # what was taken for a port may be a part of the password
            problem = "the port is not one, or the password holds a character to be quoted"
        raise ValueError(f"hosts holds a URL that cannot be used: {problem}") from None
