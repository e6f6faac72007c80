"""From the ``hosts`` option to connections."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import redis.asyncio.connection
import redis.connection
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

Host = str | tuple[str, int]


#: How long a server may take to let us in, in seconds, unless ``connection_kwargs`` say otherwise.
CONNECT = 5.0


class Node:
    """One Redis server, as ``(host, port)`` or as a URL, and the connections made to it.

    URLs are redis-py's: ``redis://``, ``rediss://`` (TLS) and ``unix://``, with user, password and
    database number. ``connection_kwargs`` are redis-py's too.
    """

    def __init__(self, host: Host, connection_kwargs: Mapping[str, Any]) -> None:
        self.name = _public(host)
        self._sync_class, sync_kwargs = _parse(host, redis.connection)
        self._async_class, async_kwargs = _parse(host, redis.asyncio.connection)
        # RESP2, for replies of one shape on every server version; back-off is the callers'.
        first = {"socket_connect_timeout": CONNECT}
        last = {**connection_kwargs, "protocol": 2}
        self._sync_kwargs = {**first, **sync_kwargs, **last, "retry": Retry(NoBackoff(), 0)}
        self._async_kwargs = {**first, **async_kwargs, **last, "retry": AsyncRetry(NoBackoff(), 0)}
        try:
            self.connect(_nothing, timeout=1), self.connect_async(_nothing)
        except (TypeError, ValueError, RedisError) as error:  # what redis-py does not know
            raise ValueError(f"the options of the connection cannot be used: {error}") from None

    def connect(self, on_connect: Callable[..., None], *, timeout: float) -> Any:
        """A connection, not yet open, that waits at most ``timeout`` seconds for an answer."""
        kwargs = {**self._sync_kwargs, "socket_timeout": timeout}
        return self._sync_class(**kwargs, redis_connect_func=on_connect)

    def connect_async(self, on_connect: Callable[..., Any]) -> Any:
        """A connection, not yet open, for an event loop; its caller bounds the waiting."""
        kwargs = {**self._async_kwargs, "socket_timeout": None}
        return self._async_class(**kwargs, redis_connect_func=on_connect)


def _nothing(connection: Any) -> None:
    """For connections that are never opened."""


def nodes(hosts: Sequence[Host] | None, connection_kwargs: Mapping[str, Any] | None) -> list[Node]:
    """The servers that ``hosts`` names, or the ``ValueError`` that says what is wrong with it."""
    if hosts is None:
        hosts = [("localhost", 6379)]
    if isinstance(hosts, (str, bytes)) or not isinstance(hosts, Sequence):
        raise ValueError(
            'hosts is a list: [("localhost", 6379)] or ["redis://localhost:6379/0"], '
            f"not a {type(hosts).__name__}"
        )
    if len(hosts) != 1:
        raise ValueError(f"hosts must name one Redis server in this version, not {len(hosts)}")
    return [Node(_checked(host), connection_kwargs or {}) for host in hosts]


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


def _public(host: Host) -> str:
    """The name of the server for logs and errors: without its user and password."""
    if not isinstance(host, str):
        return f"{host[0]}:{host[1]}"
    parts = urlsplit(host)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _parse(host: Host, module: Any) -> tuple[Any, dict[str, Any]]:
    if not isinstance(host, str):
        return module.Connection, {"host": host[0], "port": host[1]}
    try:
        kwargs = dict(module.parse_url(host))
    except ValueError as error:
        problem = str(error)
        if "Port" in problem:  # what was taken for a port may be a part of the password
            problem = "the port is not one, or the password holds a character to be quoted"
        raise ValueError(f"hosts holds a URL that cannot be used: {problem}") from None
    return kwargs.pop("connection_class", module.Connection), kwargs
