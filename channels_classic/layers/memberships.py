"""Memberships: which channels are in which group, and until when, in this process's memory."""

from __future__ import annotations

from collections.abc import Callable


class Memberships:
    """Its caller holds the lock; times are those of ``clock``, in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._groups: dict[str, dict[str, float]] = {}

    def __len__(self) -> int:
        return len(self._groups)

    def add(self, group: str, channel: str, *, until: float) -> None:
        """Make ``channel`` a member of ``group``, or renew its membership."""
        self._groups.setdefault(group, {})[channel] = until

    def discard(self, group: str, channel: str) -> None:
        """End the membership of ``channel``; no error when there was none."""
        self._keep(group, lambda name, _: name != channel)

    def of(self, group: str) -> list[str]:
        """The members of ``group`` whose time has not come."""
        now = self._clock()
        self._keep(group, lambda _, until: until > now)
        return list(self._groups.get(group, ()))

    def expire(self) -> None:
        """End the memberships whose time has come, in groups that nobody asks for too."""
        for group in list(self._groups):
            self.of(group)

    def forget(self, is_gone: Callable[[str], bool]) -> None:
        """End every membership of the channels for which ``is_gone`` is true."""
        for group in list(self._groups):
            self._keep(group, lambda name, _: not is_gone(name))

    def _keep(self, group: str, is_kept: Callable[[str, float], bool]) -> None:
        members = self._groups.get(group, {})
        kept = {name: until for name, until in members.items() if is_kept(name, until)}
        if kept:
            self._groups[group] = kept
        else:
            self._groups.pop(group, None)
