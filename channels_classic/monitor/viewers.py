"""The sockets of the live page: what is sent to them, and whether they may still have it."""

from __future__ import annotations

import logging
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import close_old_connections

from channels_classic.channel import Channel, Group
from channels_classic.exceptions import ChannelFull
from channels_classic.log import Sparingly
from channels_classic.monitor.access import may_still_look

if TYPE_CHECKING:
    from channels_classic.asgi import ChannelLayerWrapper
    from channels_classic.layers.traffic import Content

_say = Sparingly(logging.getLogger("channels_classic.monitor"))

#: The group of all sockets of the page, and what is attached to each: its session.
GROUP = KEY = "channels_classic.monitor"
#: Sockets that are looked at in one check, at most.
_MOST = 1000
#: The close codes for those who may look no longer, and for those of whom nobody knows it, as the
#: bus has lost its data or the sessions cannot be read: their pages connect again.
NOT_ALLOWED, AGAIN = 4403, 1012

_encode = DjangoJSONEncoder(separators=(",", ":")).encode


def as_text(content: dict[str, Any]) -> Content:
    """The message of a frame that holds ``content`` as JSON."""
    return {"text": _encode(content)}


def are_there(layer: ChannelLayerWrapper) -> bool:
    """Whether anybody looks."""
    return bool(layer.channel_layer.group_count(GROUP))


def show(layer: ChannelLayerWrapper, content: dict[str, Any]) -> None:
    """Send ``content`` to all of them."""
    Group(GROUP, channel_layer=layer).send(as_text(content))


def enter(layer: ChannelLayerWrapper, reply_channel: object, session_key: str | None) -> None:
    """From now on the socket of ``reply_channel`` is shown what happens."""
    name = str(reply_channel)
    layer.channel_layer.attach(name, KEY, {"session": session_key})
    Group(GROUP, channel_layer=layer).add(name)


def dismiss_others(layer: ChannelLayerWrapper) -> None:
    """Close the sockets of those who may look no longer, and of those nobody knows."""
    names = list(islice(layer.channel_layer.group_channels(GROUP), _MOST))
    known = layer.channel_layer.attached(names, KEY)
    try:
        for name, content in zip(names, known, strict=True):
            if code := _reason_to_close(content):
                _dismiss(layer, name, code)
    finally:
        close_old_connections()


def _reason_to_close(content: Content | None) -> int | None:
    """The close code for a socket with ``content`` attached, unless it may stay."""
    if content is None:
        return AGAIN
    try:
        return None if may_still_look(content.get("session")) else NOT_ALLOWED
    except Exception as error:  # one who cannot be checked must not keep others from being checked
        text = f"Cannot tell who may still look, so they connect again: {error!r}"
        _say(logging.ERROR, str(type(error)), text)
        return AGAIN


def _dismiss(layer: ChannelLayerWrapper, name: str, code: int) -> None:
    Group(GROUP, channel_layer=layer).discard(name)
    with suppress(ChannelFull):  # it takes nothing any more, and is shown nothing more
        Channel(name, channel_layer=layer).send({"close": code})
