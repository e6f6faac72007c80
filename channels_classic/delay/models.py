"""DelayedMessage: a message that waits in the database until it is due."""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db import models
from django.utils import timezone

from channels_classic import tracing
from channels_classic.asgi import channel_layers
from channels_classic.conf import DEFAULT_CHANNEL_LAYER
from channels_classic.layers.base import BaseChannelLayer
from channels_classic.layers.codec import Codec
from channels_classic.layers.traffic import Content

if TYPE_CHECKING:
    from channels_classic.asgi import ChannelLayerWrapper

    Layer = ChannelLayerWrapper | BaseChannelLayer

#: How long a message is its claimer's own, in seconds: more than a send can take.
LEASE = 60

_codec = Codec(max_size=sys.maxsize)  # the size is for the layer to judge


class DelayedMessageQuerySet(models.QuerySet["DelayedMessage"]):
    """``DelayedMessage.objects``."""

    def is_due(self) -> DelayedMessageQuerySet:
        """Those whose time has come, the longest due first."""
        return self.filter(due_date__lte=timezone.now()).order_by("due_date", "pk")


class DelayedMessage(models.Model):
    """A message for ``channel_name`` that is to be sent at ``due_date``.

    ``DelayedMessage(channel_name=…, content={…}, delay=…)``: the delay is in milliseconds from
    now. The content may hold all that a message may, bytes too, as it is kept as msgpack; it is
    not encrypted, whatever the layer does.
    """

    due_date = models.DateTimeField(db_index=True)
    channel_name = models.CharField(max_length=512)
    packed = models.BinaryField(db_column="content")

    objects = DelayedMessageQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.channel_name} at {self.due_date}"

    @property
    def content(self) -> Content:
        """The content, a dict; it may be set to its JSON text, too.

        Raises ``InvalidContent`` for what no message can carry, and ``UndecodableMessage`` if the
        database holds something else.
        """
        return _codec.decode(bytes(self.packed))

    @content.setter
    def content(self, content: Content | str) -> None:
        self.packed = _codec.encode(json.loads(content) if isinstance(content, str) else content)

    @property
    def delay(self) -> float:
        """The delay in milliseconds from now: to set only.

        Raises ``ValueError`` for a time that there is not.
        """
        raise AttributeError("the delay can only be set; due_date is what it has become")

    @delay.setter
    def delay(self, milliseconds: float) -> None:
        try:
            self.due_date = timezone.now() + timedelta(milliseconds=milliseconds)
        except OverflowError:
            raise ValueError(f"a delay of {milliseconds} ms is too long") from None

    def send(self, channel_layer: Layer | None = None, requeue_delay: float = 1000) -> None:
        """Send it now, on the default layer if no other is given, and delete it.

        A full channel makes it due again in ``requeue_delay`` milliseconds. Raises what the
        ``send`` of the layer does but ``ChannelFull``; the message is still there then.
        """
        layer = channel_layer or channel_layers[DEFAULT_CHANNEL_LAYER]
        if self.put_on(layer, requeue_delay) and self.pk is not None:
            self.delete()

    def put_on(self, layer: Layer, requeue_delay: float = 1000) -> bool:
        """``send``, but it is not deleted; whether it was sent."""
        try:
            layer.send(self.channel_name, self.content)
        except layer.ChannelFull:
            self.delay = requeue_delay
            self.save()
            return False
        return True

    def claim(self) -> bool:
        """Whether it is this process's to send: not due for others for ``LEASE`` seconds.

        One statement does it, on any database: of those that claim the same, one changes the row.
        A claimer that dies lets the others have it in the end.
        """
        until = timezone.now() + timedelta(seconds=LEASE)
        same = DelayedMessage.objects.filter(pk=self.pk, due_date=self.due_date)
        return bool(same.update(due_date=until))

    def unclaim(self) -> None:
        """It was not sent: it is due as before."""
        self.save(update_fields=["due_date"])


def check(content: Any, layer: Layer) -> DelayedMessage:
    """The message that ``content``, of one on ``asgi.delay``, asks for; it is not saved yet.

    Raises ``ValueError`` or ``ChannelsError`` for what ``layer`` could not send.
    """
    missing = [key for key in ("channel", "delay", "content") if key not in content]
    if missing:
        raise ValueError(f"it has no {' and no '.join(missing)}")
    channel, delay = content["channel"], content["delay"]
    if isinstance(delay, bool) or not isinstance(delay, (int, float)) or not delay >= 0:
        raise ValueError(f"the delay is a number of milliseconds, not {delay!r:.80}")
    layer.prepare(channel, content["content"])
    message = DelayedMessage(channel_name=channel)
    message.content, message.delay = tracing.sent(channel, content["content"]), delay
    return message
