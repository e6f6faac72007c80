"""Shards in a Redis Cluster: each is one slot, and every node knows which master has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

from redis.crc import REDIS_CLUSTER_HASH_SLOTS as SLOTS
from redis.crc import key_slot

from channels_classic.layers.on_redis.guides import PATIENCE, GuidedNode, Guides
from channels_classic.layers.on_redis.ring import Host, Node, Place, checked_hosts


class ClusterNode(GuidedNode):
    """The master of the slot that all keys of one shard are in: those with ``{tag}``."""

    def __init__(
        self,
        tag: str,
        host: Host,
        connection_kwargs: Mapping[str, Any],
        *,
        guides: Guides,
    ) -> None:
        super().__init__(host, connection_kwargs, guides=guides, question=("CLUSTER", "SLOTS"))
        self.tag = tag
        self.slot = key_slot(tag.encode())
        self.name = f"slot {self.slot} (Cluster {self.name})"

    def read(self, answer: Any, guide: Node) -> Place:
        rows = [(first, last, _places(members, guide)) for first, last, *members in answer]
        self._guides.learn(dict.fromkeys(place for *_, places in rows for place in places), guide)
        for first, last, places in rows:
            if first <= self.slot <= last and places:
                return places[0]
        raise LookupError(f"knows no master of slot {self.slot}")

    def remedy(self) -> str:
        return "check hosts, and the state of the cluster with `redis-cli cluster info`"


def cluster_nodes(
    hosts: Sequence[Host] | None, shards: int, connection_kwargs: Mapping[str, Any] | None
) -> list[Node]:
    """``shards`` shards, spread over the slots of the Cluster that the servers at ``hosts`` are in.

    A shard lives in one slot, so it moves as a whole when its slot moves; all processes need the
    same number. ``hosts`` may be some of the servers: the others are learnt from them. Raises
    ``ValueError``.
    """
    if isinstance(shards, bool) or not isinstance(shards, int) or not 0 < shards <= SLOTS:
        raise ValueError(f"shards must be a number from 1 to {SLOTS}, not {shards!r}")
    data = connection_kwargs or {}
    checked = checked_hosts(hosts, [("localhost", 6379)])
    members = [_checked(Node(host, data, patience=PATIENCE)) for host in checked]
    for member in members[1:]:
        if _way_in(member) != _way_in(members[0]):
            raise ValueError(
                f"{members[0].name} and {member.name} need the same user, password and options: "
                "they are servers of one Cluster"
            )
    guides = Guides(members)
    return [ClusterNode(tag, checked[0], data, guides=guides) for tag in tags(shards)]


def tags(shards: int) -> list[str]:
    """For each of ``shards`` equal ranges of the slots, the smallest number with its slot in it."""
    found: dict[int, str] = {}
    for number in count():
        found.setdefault(key_slot(b"%d" % number) * shards // SLOTS, str(number))
        if len(found) == shards:
            break
    return [found[i] for i in range(shards)]


def _checked(node: Node) -> Node:
    if "path" in node.options:
        raise ValueError(f"{node.name} is a UNIX socket: the servers of a Cluster have ports")
    if int(node.options.get("db") or 0):
        raise ValueError("a Cluster has no database but 0: leave it out")
    return node


def _way_in(node: Node) -> tuple[type, dict[str, Any]]:
    kwargs = {key: value for key, value in node.options.items() if key not in ("host", "port")}
    return type(node.connect(None)), kwargs


def _places(members: Sequence[Any], guide: Node) -> list[Place]:
    """Where the master and the replicas of some slots are, by the words of ``guide``."""
    own = guide.options["host"]  # which a server that does not know its name stands for
    return [
        Place(host.decode() if host else own, port)
        for host, port, *_ in members
        if host != b"?"  # told to go by a name that it has not been given
    ]
