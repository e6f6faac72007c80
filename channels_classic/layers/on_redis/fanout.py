"""From the entries of a process's inbox to messages for its connections."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from channels_classic.exceptions import UndecodableMessage
from channels_classic.layers.codec import Codec
from channels_classic.layers.ends import OnReceipt, no_receipts
from channels_classic.layers.ledger import MOST_GROUPS
from channels_classic.layers.traffic import Arrival

#: When there are more groups than so many, they are looked at once in so many times.
_MANY, _RARELY = 10_000, 10


class Fanout:
    """Which local connections are in which group, as told by the inbox itself.

    Joins and leaves travel in the same stream as the messages, so a message to a group reaches
    exactly those who had joined before it. A field of an entry is a mark and a name: ``!local``
    carries a message for one connection, ``*group`` one for a group; ``+local``, and ``-local`` or
    ``~local``, the name of the group that the connection joins or leaves; ``=local`` a receipt.
    """

    def __init__(self, codec: Codec, on_receipt: OnReceipt = no_receipts) -> None:
        self._codec = codec
        self._on_receipt = on_receipt
        self.groups: dict[bytes, dict[str, None]] = {}  # a dict keeps the order of the joins
        self._joined: list[str] = []
        self._emptied: set[bytes] = set()
        self._largest: dict[str, int] = {}
        self._looks = 0
        self._groups_of: defaultdict[str, set[bytes]] = defaultdict(set)
        #: What could not be read since this was last emptied: for whom, if anybody, and why.
        self.unreadable: list[tuple[str, str]] = []

    def arrivals(self, fields: Sequence[Any]) -> Iterator[Arrival]:
        """The messages of one entry; what cannot be read is noted and passed over."""
        for field, value in zip(fields[::2], fields[1::2], strict=False):
            try:
                arrival = self._arrival(field[:1], field[1:], value)
            except (UndecodableMessage, ValueError) as error:
                local = field[1:].decode("ascii", "replace") if field[:1] == b"!" else ""
                self.unreadable.append((local, str(error)))
                continue
            if arrival:
                yield arrival

    def _arrival(self, mark: bytes, name: bytes, value: bytes) -> Arrival | None:
        if mark == b"!":
            return Arrival((name.decode("ascii"),), self._codec.decode(value))
        if mark == b"=":
            number, _, fate = value.partition(b" ")
            self._on_receipt(name.decode("ascii"), int(number), fate == b"lost")
        elif mark == b"*":
            members = self.groups.get(name)
            return Arrival(tuple(members), self._codec.decode(value), False) if members else None
        elif mark == b"+":
            value.decode("ascii")  # a foreign group would trouble us only later, in forget()
            self.join(value, name.decode("ascii"))
        elif mark in (b"-", b"~"):
            self._leave(value, name.decode("ascii"))
        else:
            raise UndecodableMessage(f"an entry has the unknown field {mark + name!r:.80}")
        return None

    def largest(self) -> dict[str, Any]:
        """For ``Inbox.report``; with very many groups, all are looked at but now and then."""
        self._looks += 1
        if len(self.groups) <= _MANY or self._looks % _RARELY == 1:
            found = heapq.nlargest(
                MOST_GROUPS, self.groups, key=lambda name: len(self.groups[name])
            )
            self._largest = {name.decode("ascii"): len(self.groups[name]) for name in found}
        return {"groups": len(self.groups), "largest": self._largest}

    def join(self, group: bytes, local: str) -> None:
        """Make ``local`` a member of ``group``."""
        self.groups.setdefault(group, {})[local] = None
        self._groups_of[local].add(group)
        self._joined.append(local)

    def take_joined(self) -> list[str]:
        """Who has joined something since the last call."""
        joined, self._joined = self._joined, []
        return joined

    def take_emptied(self, most: int) -> list[str]:
        """Up to ``most`` groups whose last member has left, each named once."""
        taken = [self._emptied.pop() for _ in range(min(most, len(self._emptied)))]
        return [group.decode("ascii") for group in taken if group not in self.groups]

    def put_back_emptied(self, groups: Iterable[str]) -> None:
        """They are to be taken once more."""
        self._emptied.update(group.encode("ascii") for group in groups)

    def _leave(self, group: bytes, local: str) -> None:
        members = self.groups.get(group, {})
        members.pop(local, None)
        if not members and self.groups.pop(group, None) is not None:
            self._emptied.add(group)
        groups = self._groups_of.get(local, set())
        groups.discard(group)
        if not groups:
            self._groups_of.pop(local, None)

    def forget(self, local: str) -> list[str]:
        """End the memberships of ``local``; returns the groups it was in."""
        groups = list(self._groups_of.get(local, ()))
        for group in groups:
            self._leave(group, local)
        return [group.decode("ascii") for group in groups]
