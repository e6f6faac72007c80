"""Shards under Redis Sentinel: each is a master, and the Sentinels know where it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from channels_classic.layers.on_redis.guides import PATIENCE, GuidedNode, Guides
from channels_classic.layers.on_redis.ring import Node, Place, checked_hosts


class SentinelNode(GuidedNode):
    """The master that the Sentinels call ``service``."""

    def __init__(
        self,
        service: str,
        sentinels: Sequence[Node],
        connection_kwargs: Mapping[str, Any],
        *,
        guides: Guides,
        refresh: float,
    ) -> None:
        super().__init__(
            ("localhost", 6379),  # never used: the Sentinels say where it is
            connection_kwargs,
            guides=guides,
            question=("SENTINEL", "GET-MASTER-ADDR-BY-NAME", service),
            refresh=refresh,
        )
        self._service = service
        self._port = sentinels[0].options["port"]
        self.name = f"{service} (Sentinel {', '.join(node.name for node in sentinels)})"

    def read(self, answer: Any, guide: Node) -> Place:
        if not answer:
            raise LookupError(f"knows no master named {self._service!r}")
        host, port = answer
        return Place(host.decode(), int(port))

    def remedy(self) -> str:
        return (
            f"check hosts, services and sentinel_kwargs; `redis-cli -p {self._port} sentinel "
            "masters` lists what a Sentinel knows"
        )


def sentinel_nodes(
    hosts: Sequence[tuple[str, int]] | None,
    services: Sequence[str] | None,
    connection_kwargs: Mapping[str, Any] | None,
    *,
    sentinel_kwargs: Mapping[str, Any] | None = None,
    refresh_interval: float = 0,
) -> list[Node]:
    """One shard for each of ``services``, in this order, found through the Sentinels at ``hosts``.

    ``connection_kwargs`` are for the connections to the masters, ``sentinel_kwargs`` for those to
    the Sentinels (by default the ``socket_…`` ones of the former); an answer of the Sentinels is
    good for ``refresh_interval`` seconds, unless the connection fails. Raises ``ValueError``.
    """
    if isinstance(hosts, (list, tuple)) and any(isinstance(host, str) for host in hosts):
        raise ValueError('hosts names the Sentinels by name and port: [("localhost", 26379)]')
    if not _is_number(refresh_interval) or refresh_interval < 0:
        raise ValueError(f"sentinel_refresh_interval must be seconds, not {refresh_interval!r}")
    data = connection_kwargs or {}
    if sentinel_kwargs is None:
        sentinel_kwargs = {key: data[key] for key in data if key.startswith("socket_")}
    checked = checked_hosts(hosts, [("localhost", 26379)])
    sentinels = [Node(host, sentinel_kwargs, patience=PATIENCE) for host in checked]
    guides = Guides(sentinels)
    return [
        SentinelNode(service, sentinels, data, guides=guides, refresh=refresh_interval)
        for service in _checked_services(services, sentinels[0].options["port"])
    ]


def _checked_services(services: Any, port: int) -> list[str]:
    if not services:
        raise ValueError(
            "services must name the masters, one for each shard, in an order that never changes: "
            f"`redis-cli -p {port} sentinel masters` lists them"
        )
    if isinstance(services, (str, bytes)) or not isinstance(services, Sequence):
        raise ValueError(f'services is a list: ["mymaster"], not a {type(services).__name__}')
    for service in services:
        if not isinstance(service, str):
            raise ValueError(f"services holds the names of masters, not {service!r}")
        if services.count(service) > 1:
            raise ValueError(f"services names {service!r} twice: each shard has its own master")
    return list(services)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
