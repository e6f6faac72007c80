"""Census: the connections of one process, and who has how many of them."""

from __future__ import annotations

import contextlib
import ipaddress
import resource
from collections import Counter
from collections.abc import Callable

from channels_classic.server.options import Limits

#: Descriptors that are left for the bus, for bodies on disk and the like: at least so many.
_RESERVE = 64
#: Refused clients that may be told why at the same time.
_TOLD = 64

Client = tuple[str, int] | None


class Census:
    """Admits clients up to the limits. Sockets count as the connections that they were.

    ``note`` is told of the others, with a counter and a text.
    """

    def __init__(self, limits: Limits, note: Callable[[str, str], None]) -> None:
        self.most = limits.max_connections or possible_connections()
        self._most_each = limits.max_connections_per_address
        self._note = note
        #: How many there are.
        self.size = 0
        self._of: Counter[str] = Counter()
        self._told = 0

    def admit(self, client: Client) -> bool:
        """Count one more connection, if there is room for it; ``leave`` when it has gone."""
        if self.size >= self.most:
            return self._refuse(client, f"there are {self.size:,} connections")
        if self._most_each and client is not None:
            address = _house(client[0])
            if self._of[address] >= self._most_each:
                return self._refuse(client, f"it has {self._most_each:,} connections")
            self._of[address] += 1
        self.size += 1
        return True

    def leave(self, client: Client) -> None:
        """The connection of an admitted client has gone."""
        self.size -= 1
        if self._most_each and client is not None:
            address = _house(client[0])
            self._of[address] -= 1
            if not self._of[address]:
                del self._of[address]

    def _refuse(self, client: Client, why: str) -> bool:
        self._note("refused_count", f"Refused a connection of {client and client[0]}: {why}.")
        return False

    def tell(self) -> bool:
        """Whether a refused client may be told; then ``told`` when its connection has gone."""
        if self._told >= _TOLD:
            return False
        self._told += 1
        return True

    def told(self) -> None:
        """The connection of a refused client has gone."""
        self._told -= 1


def possible_connections() -> int:
    """How many the process has descriptors for, once it may have all that it is entitled to."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    if soft == resource.RLIM_INFINITY:
        soft = 2**30
    return max(1, soft - max(_RESERVE, soft // 8))


def _house(address: str) -> str:
    """Who an address belongs to: of IPv6 a client has a whole network of 64 bits."""
    if ":" not in address:
        return address
    with contextlib.suppress(ValueError):
        found = ipaddress.IPv6Address(address)
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(int(found) >> 64)
    return address
