"""The snapshot: channels, groups, servers and workers at one time, as JSON can carry them."""

from __future__ import annotations

import heapq
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from channels_classic.layers.base import BaseChannelLayer
from channels_classic.layers.ledger import MOST_GROUPS, ChannelFacts
from channels_classic.layers.traffic import Content

Snapshot = dict[str, Any]


def snapshot(layer: BaseChannelLayer, channels: Sequence[str] = ()) -> Snapshot:
    """What ``layer`` knows now; of ``channels`` too when nothing was ever sent on them.

    Durations are in seconds, counters are what ``Counter`` lists. ``servers`` and ``workers`` are
    what they report themselves, once a second. Raises ``LayerUnavailable``.
    """
    census = layer.ledger.census(channels)
    servers = _of_kind(census.reports, "server")
    return {
        "time": time.time(),
        "channels": [_channel(name, facts) for name, facts in sorted(census.channels.items())],
        "groups": {"total": census.groups, "largest": _largest(servers)},
        "servers": [_without(each, "largest") for each in servers],
        "workers": _of_kind(census.reports, "worker"),
        "dead": census.dead,
        "delayed": sum(facts.delayed for facts in census.channels.values()),
    }


def _channel(name: str, facts: ChannelFacts) -> dict[str, Any]:
    return {
        "name": name,
        **facts.load._asdict(),
        "delayed": facts.delayed,
        "next_due": facts.next_due,
        "counts": facts.counts,
    }


def _of_kind(reports: Mapping[str, Content], kind: str) -> list[dict[str, Any]]:
    """The reports of one kind of process, the oldest process first."""
    found = [
        {"name": name, **_without(report, "kind")}
        for name, report in reports.items()
        if report.get("kind") == kind
    ]
    return sorted(found, key=lambda each: (-_number(each.get("uptime")), each["name"]))


def _largest(servers: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each server names the groups with most members there: the sums are of those alone."""
    members: Counter[str] = Counter()
    for server in servers:
        largest = server.get("largest")
        if isinstance(largest, dict):
            members.update({str(name): int(_number(each)) for name, each in largest.items()})
    names = heapq.nlargest(MOST_GROUPS, members, key=members.__getitem__)
    return [{"name": name, "members": members[name]} for name in names]


def _without(report: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in report.items() if key not in keys}


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0
