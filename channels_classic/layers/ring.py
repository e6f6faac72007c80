"""From the ``hosts`` option to connections."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import redis.asyncio.connection
import redis.connection
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

Host = str | tuple[str, int]


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
        common = {**connection_kwargs, "protocol": 2}
        self._sync_kwargs = {**sync_kwargs, **common, "retry": Retry(NoBackoff(), 0)}
        self._async_kwargs = {**async_kwargs, **common, "retry": AsyncRetry(NoBackoff(), 0)}

    def connect(self, on_connect: Callable[..., None], *, timeout: float) -> Any:
        """A connection, not yet open, that waits at most ``timeout`` seconds for an answer."""
        kwargs = {**self._sync_kwargs, "socket_timeout": timeout}
        return self._sync_class(**kwargs, redis_connect_func=on_connect)

    def connect_async(self, on_connect: Callable[..., Any]) -> Any:
        """A connection, not yet open, for an event loop; its caller bounds the waiting."""
        kwargs = {**self._async_kwargs, "socket_timeout": None}
        return self._async_class(**kwargs, redis_connect_func=on_connect)


def nodes(hosts: Sequence[Host] | None, connection_kwargs: Mapping[str, Any] | None) -> list[Node]:
    """The servers that ``hosts`` names, or the ``ValueError`` that says what is wrong with it."""
    if hosts is None:
        hosts = [("localhost", 6379)]
    if isinstance(hosts, (str, bytes)) or not isinstance(hosts, Sequence):
        raise ValueError(
            f'hosts is a list: [("localhost", 6379)] or ["redis://localhost:6379/0"], not {hosts!r}'
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
    raise ValueError(f"hosts holds {host!r}: use (name, port), redis://…, rediss://… or unix://…")


def _public(host: Host) -> str:
    """The name of the server for logs and errors: without its password."""
    if not isinstance(host, str):
        return f"{host[0]}:{host[1]}"
    scheme, _, rest = host.partition("://")
    address = rest.rpartition("@")[2].partition("?")[0]
    return f"{scheme}://{address}"


def _parse(host: Host, module: Any) -> tuple[Any, dict[str, Any]]:
    if not isinstance(host, str):
        return module.Connection, {"host": host[0], "port": host[1]}
    kwargs = dict(module.parse_url(host))
    return kwargs.pop("connection_class", module.Connection), kwargs
