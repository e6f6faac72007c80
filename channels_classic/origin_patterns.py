"""Which origins a pattern such as ``https://*.example.com`` is for: pure decisions."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, NamedTuple

from django.http.request import split_domain_port
from django.utils.http import is_same_domain

_PORTS = {"http": "80", "https": "443"}
#: Patterns without a host: any origin, that of a page in a sandbox, that of a local file.
_HOSTLESS = ("*", "null", "file://")
_SUBDOMAINS = re.compile(r"(^|://)\*(?=\.)")


class Origin(NamedTuple):
    """The parts of an origin, or of a pattern for some; empty when it has none."""

    scheme: str
    host: str
    port: str


def is_pattern(pattern: Any) -> bool:
    """Whether ``pattern`` can match the origin of a page."""
    if not isinstance(pattern, str):
        return False
    wanted = _split_pattern(pattern)
    return pattern in _HOSTLESS or (bool(wanted.host) and wanted.scheme not in ("ws", "wss"))


def matches(origin: str, pattern: str) -> bool:
    """Whether all that ``pattern`` names is so in ``origin``."""
    if pattern in ("*", origin):
        return True
    given, wanted = split(origin), _split_pattern(pattern)
    if not is_same_domain(given.host, wanted.host):
        return False
    if not wanted.scheme:
        return wanted.port in ("", given.port)
    return (wanted.scheme, wanted.port) == (given.scheme, given.port)


@lru_cache(maxsize=256)
def _split_pattern(pattern: str) -> Origin:
    """``*.example.com`` as Django writes it, ``.example.com``."""
    return split(_SUBDOMAINS.sub(r"\1", pattern))


@lru_cache(maxsize=256)
def split(origin: str) -> Origin:
    """The parts of ``origin``; the port of its scheme where it names none."""
    first, found, rest = origin.lower().partition("://")
    scheme, netloc = (first, rest) if found else ("", first)
    host, port = split_domain_port(netloc)
    return Origin(scheme, host, port or _PORTS.get(scheme, ""))
