"""PresenceMixin: consumer classes whose connections are present in groups."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from channels_classic.presence.connections import join, leave, remember

if TYPE_CHECKING:
    from channels_classic.generic.websockets import WebsocketConsumer
    from channels_classic.message import Message

    Base = WebsocketConsumer
else:
    Base = object  # it stands left of the consumer class in the list of bases


class PresenceMixin(Base):
    """Left of ``WebsocketConsumer`` or a class made of it, with ``http_user`` or the like.

    Its users are reached by ``send_to_user``, and present in ``presence_groups`` from ``connect``
    to ``disconnect``. To refuse a socket, ``connect`` is to raise ``DenyConnection``.
    """

    def presence_groups(self, **kwargs: Any) -> Iterable[str]:
        """The groups of this socket; ``kwargs`` are what the route captured."""
        return []

    def raw_connect(self, message: Message, **kwargs: Any) -> None:
        """``connect``, and then the user is there."""
        super().raw_connect(message, **kwargs)
        remember(message)
        for group in self.presence_groups(**kwargs):
            join(message, group)

    def raw_disconnect(self, message: Message, **kwargs: Any) -> None:
        """The user has gone, and then ``disconnect``."""
        leave(message)
        super().raw_disconnect(message, **kwargs)
