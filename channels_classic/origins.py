"""Which pages may open WebSockets here: decides on the ``Origin`` header of a handshake."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.http.request import validate_host

from channels_classic.conf import option
from channels_classic.exceptions import DenyConnection
from channels_classic.log import Sparingly
from channels_classic.origin_patterns import matches, split

if TYPE_CHECKING:
    from channels_classic.layers.traffic import Content
    from channels_classic.message import Message

_say = Sparingly(logging.getLogger("channels_classic.origins"))

#: Who may connect with ``DEBUG`` on and no ``ALLOWED_HOSTS``, as in Django.
_LOCAL = [".localhost", "127.0.0.1", "[::1]"]


def check(message: Message) -> None:
    """Raise ``DenyConnection`` for a handshake that a page of another site asks for, and log it.

    A handshake without the header passes: it was not a browser that asked.
    """
    value = header(message.content, b"origin")
    if value is None:
        return
    origin = value.decode("latin-1")
    if is_allowed(origin):
        return
    owner = "ALLOWED_HOSTS" if _patterns() is None else "ALLOWED_ORIGINS"
    text = (
        f"Refused the WebSocket on {message.get('path')!r:.200} of a page from {origin!r:.200}, "
        f"which is not in {owner}. If pages from there are meant to connect, list every origin "
        'that is, your own too: CHANNELS_CLASSIC = {"ALLOWED_ORIGINS": ["https://example.com"]}'
    )
    _say(logging.WARNING, "refused", text)
    raise DenyConnection


def is_allowed(origin: str) -> bool:
    """Whether ``ALLOWED_ORIGINS`` lists ``origin``; without it, whether ``ALLOWED_HOSTS`` does."""
    patterns = _patterns()
    if patterns is None:
        return is_of_allowed_host(origin)
    return any(matches(origin, pattern) for pattern in patterns)


def is_of_allowed_host(origin: str) -> bool:
    """Whether the host of ``origin`` is one of ``ALLOWED_HOSTS``; those without one are not."""
    hosts = settings.ALLOWED_HOSTS or (_LOCAL if settings.DEBUG else [])
    scheme, host, _ = split(origin)
    return bool(scheme and host) and validate_host(host, hosts)


def header(content: Content, name: bytes) -> bytes | None:
    """The header ``name``, in small letters, of a handshake or request; None without it."""
    headers: Any = content.get("headers") or ()
    if isinstance(headers, Mapping):  # an old form, of tests for instance
        headers = [(_as_bytes(key).lower(), value) for key, value in headers.items()]
    for key, value in headers:
        if key == name:
            return _as_bytes(value)
    return None


def _as_bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()


def _patterns() -> list[str] | None:
    """The setting; a text is taken for a list of one, and not for one of its letters."""
    patterns = option("ALLOWED_ORIGINS", None)
    return [patterns] if isinstance(patterns, str) else patterns
