"""Memberships: which channels are in which group, and until when, in this process's memory."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from math import inf

from channels_classic.layers.names import non_local_name

#: The members of a group: by process, or plain channel, the local parts and when each one ends.
_Members = dict[str, dict[str, float]]


class Memberships:
    """Its caller holds the lock; times are those of ``clock``, in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._groups: dict[str, _Members] = {}
        self._joined: dict[str, set[str]] = {}
        #: By group, a time before which no membership ends.
        self._ends: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._groups)

    def add(self, group: str, channel: str, *, until: float) -> None:
        """Make ``channel`` a member of ``group``, or renew its membership."""
        process = non_local_name(channel)
        members = self._groups.setdefault(group, {})
        members.setdefault(process, {})[channel[len(process) :]] = until
        self._joined.setdefault(channel, set()).add(group)
        self._ends[group] = min(until, self._ends.get(group, inf))

    def discard(self, group: str, channel: str) -> None:
        """End the membership of ``channel``; no error when there was none."""
        groups = self._joined.get(channel, set())
        if group not in groups:
            return
        process = non_local_name(channel)
        members = self._groups[group]
        del members[process][channel[len(process) :]]
        groups.remove(group)
        if not groups:
            del self._joined[channel]
        if not members[process]:
            del members[process]
        if not members:
            del self._groups[group], self._ends[group]

    def largest(self, process: str, most: int) -> tuple[int, dict[str, int]]:
        """How many groups have members of ``process``, and how many these are in some of them."""
        sizes = {
            group: len(members[process])
            for group, members in self._groups.items()
            if process in members
        }
        found = heapq.nlargest(most, sizes, key=sizes.__getitem__)
        return len(sizes), {group: sizes[group] for group in found}

    def by_process(self, group: str) -> dict[str, list[str]]:
        """The local parts of the members of each process, or [""] for a plain channel."""
        self._expire(group)
        members = self._groups.get(group, {})
        return {process: list(locals_) for process, locals_ in members.items()}

    def of(self, group: str) -> list[str]:
        """The members of ``group`` whose time has not come."""
        found = self.by_process(group).items()
        return [process + local for process, locals_ in found for local in locals_]

    def count(self, group: str) -> int:
        """How many they are; it costs as much as ``group`` has processes."""
        self._expire(group)
        return sum(map(len, self._groups.get(group, {}).values()))

    def expire(self) -> None:
        """End the memberships whose time has come, in groups that nobody asks for too."""
        for group in list(self._groups):
            self._expire(group)

    def forget(self, channel: str) -> None:
        """End every membership of ``channel``."""
        for group in list(self._joined.get(channel, ())):
            self.discard(group, channel)

    def forget_process(self, process: str) -> None:
        """End every membership of the connections of ``process``, which ends in ``!``."""
        for channel in [name for name in self._joined if name.startswith(process)]:
            self.forget(channel)

    def _expire(self, group: str) -> None:
        now = self._clock()
        if self._ends.get(group, inf) > now:
            return
        found = self._groups[group].items()
        ends = {process + local: end for process, each in found for local, end in each.items()}
        for channel, end in ends.items():
            if end <= now:
                self.discard(group, channel)
        if group in self._groups:
            self._ends[group] = min(end for end in ends.values() if end > now)
