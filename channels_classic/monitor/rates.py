"""Rates: what happened in a second, by two snapshots. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from channels_classic.layers.counters import Counter

Snapshot = dict[str, Any]


class Flow(NamedTuple):
    """In one second: sends that were accepted, messages completed, consumers that failed."""

    sent: float
    completed: float
    failed: float


class Rates(NamedTuple):
    """Of each channel, of all of them, and the requests of each server."""

    channels: dict[str, Flow]
    total: Flow
    requests: dict[str, float]


def grown(before: float, after: float) -> float:
    """By how much a counter has grown; those of a bus begin anew each day, never below 0."""
    return after - before if after >= before else after


def rates(before: Snapshot | None, after: Snapshot) -> Rates | None:
    """What happened between two snapshots; None when there is nothing to compare with.

    A channel that was not there before began at 0. A server that was not has no rate.
    """
    seconds = 0 if before is None else after["time"] - before["time"]
    if before is None or seconds <= 0:
        return None
    old = {each["name"]: _counted(each) for each in before["channels"]}
    channels = {
        each["name"]: _flow(old.get(each["name"], (0, 0, 0)), _counted(each), seconds)
        for each in after["channels"]
    }
    return Rates(channels, _sum(channels.values()), _requests(before, after, seconds))


def _counted(channel: Mapping[str, Any]) -> tuple[int, int, int]:
    counts = channel["counts"]
    return (counts.get(Counter.SENT, 0), channel["completed"], counts.get(Counter.FAILED, 0))


def _flow(before: Iterable[int], after: Iterable[int], seconds: float) -> Flow:
    return Flow(*(grown(b, a) / seconds for b, a in zip(before, after, strict=True)))


def _sum(flows: Iterable[Flow]) -> Flow:
    columns = list(zip(*flows, strict=True)) or [()] * 3
    return Flow(*map(sum, columns))


def _requests(before: Snapshot, after: Snapshot, seconds: float) -> dict[str, float]:
    old = {each["name"]: each.get("requests", 0) for each in before["servers"]}
    return {
        each["name"]: grown(old[each["name"]], each.get("requests", 0)) / seconds
        for each in after["servers"]
        if each["name"] in old
    }
