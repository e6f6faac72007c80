"""Proxies: whose word about a client's address and scheme is believed."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from channels_classic.server import ids
from channels_classic.server.options import BadOption

#: Trusts the peers of a UNIX socket, which have no address; and trusts everybody.
UNIX, EVERYBODY = "unix", "*"
#: Where a scope says that its peer is one of them.
TRUSTED = "channels_classic.trusted"

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_SOCKET_SCHEMES = {"http": "ws", "https": "wss"}


class Proxies:
    """The peers that are trusted: addresses, networks, ``unix`` and ``*``.

    Raises ``BadOption`` for what is none of these.
    """

    def __init__(self, peers: Sequence[str] = ()) -> None:
        self._everybody = EVERYBODY in peers
        self._unix = UNIX in peers
        self._networks = [_network(peer) for peer in peers if peer not in (UNIX, EVERYBODY)]
        self._is_known = lru_cache(maxsize=4096)(self._is_in_a_network)

    def __bool__(self) -> bool:
        return bool(self._everybody or self._unix or self._networks)

    def trust(self, scope: Mapping[str, Any]) -> bool:
        """Whether the peer of this connection is one of them."""
        client = scope.get("client")
        if not client or not client[0]:
            return self._unix or self._everybody
        return self._trusts(client[0])

    def look_behind(self, scope: dict[str, Any]) -> dict[str, Any]:
        """``scope`` with the client's address and scheme as a trusted peer tells them.

        The client is the last address that none of the proxies has: whatever stands before it in
        X-Forwarded-For, the client may have made up. Its port is not known, 0.
        """
        if not self.trust(scope):
            return scope
        found = {**scope, TRUSTED: True}
        if address := self._client(_all(scope, b"x-forwarded-for")):
            found["client"] = (address, 0)
        schemes = _all(scope, b"x-forwarded-proto")
        if schemes and (scheme := schemes[-1].lower()) in _SOCKET_SCHEMES:
            is_socket = scope["type"] == "websocket"
            found["scheme"] = _SOCKET_SCHEMES[scheme] if is_socket else scheme
        if request_id := ids.given(scope):
            found[ids.GIVEN] = request_id
        return found

    def _client(self, entries: list[str]) -> str | None:
        address = None
        for entry in reversed(entries):
            host = _host(entry)
            if host is None:  # "unknown", or made up: nobody knows what stands before it
                break
            address = host
            if not self._trusts(host):
                break
        return address

    def _trusts(self, address: str) -> bool:
        return self._everybody or (bool(self._networks) and self._is_known(address))

    def _is_in_a_network(self, address: str) -> bool:
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
            found = found.ipv4_mapped  # as a socket for both kinds tells it
        return any(found in network for network in self._networks)


def _network(peer: str) -> _Network:
    try:
        return ipaddress.ip_network(peer)
    except ValueError as error:
        raise BadOption(
            f"trusted_proxies: {peer!r} is no address or network ({error}): write "
            f"10.0.0.1, 10.0.0.0/8, {UNIX} for the peers of a UNIX socket, or {EVERYBODY} for all"
        ) from None


def _all(scope: Mapping[str, Any], wanted: bytes) -> list[str]:
    """What the headers with this name list, in their order."""
    values = [value.decode("latin-1") for name, value in scope["headers"] if name == wanted]
    return [part.strip() for part in ",".join(values).split(",") if part.strip()]


def _host(entry: str) -> str | None:
    """The address in one entry, which may have a port, and brackets."""
    if entry.startswith("["):
        entry = entry[1:].partition("]")[0]
    elif entry.count(":") == 1:
        entry = entry.partition(":")[0]
    try:
        return str(ipaddress.ip_address(entry))
    except ValueError:
        return None
