"""The history behind the chart: samples of totals, kept on the bus for all, and their rates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from channels_classic.layers.counters import Counter
from channels_classic.monitor.rates import Snapshot, grown

#: What only grows, and what a point calls the growth in a second.
_GROWING = {"sent": "in", "completed": "out", "failed": "failing"}
#: What is as it is at one time.
_STANDING = ("waiting", "sockets")

Sample = tuple[float, dict[str, Any]]


def sample(snapshot: Snapshot) -> dict[str, int]:
    """The totals of ``snapshot``, to be recorded."""
    channels, servers = snapshot["channels"], snapshot["servers"]
    return {
        "sent": sum(each["counts"].get(Counter.SENT, 0) for each in channels),
        "completed": sum(each["completed"] for each in channels),
        "failed": sum(each["counts"].get(Counter.FAILED, 0) for each in channels),
        "waiting": sum(each["waiting"] for each in channels),
        "sockets": sum(each.get("sockets", 0) for each in servers),
    }


def points(samples: Sequence[Sample], *, since: float = 0) -> list[dict[str, float]]:
    """A point of the chart for each sample but the first: per second what grows, the rest as is.

    What was recorded before the Unix time ``since``, and what is no sample of ours, is left out.
    """
    ours = [(when, content) for when, content in samples if when >= since and _is_sample(content)]
    return list(_points(ours))


def _points(samples: Iterable[Sample]) -> Iterable[dict[str, float]]:
    for (then, before), (now, after) in pairwise(samples):
        if now <= then:
            continue
        flows = {
            name: round(grown(before[key], after[key]) / (now - then), 2)
            for key, name in _GROWING.items()
        }
        yield {"time": round(now, 1), **flows, **{key: after[key] for key in _STANDING}}


def _is_sample(content: Any) -> bool:
    """Anybody who can write to the bus may have recorded something."""
    return isinstance(content, dict) and all(
        isinstance(content.get(key), (int, float)) for key in (*_GROWING, *_STANDING)
    )
