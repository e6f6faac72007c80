"""The socket of the live page: it is shown what happens, and may ask for more."""

from __future__ import annotations

from typing import Any

from channels_classic.asgi import channel_layers
from channels_classic.conf import DEFAULT_CHANNEL_LAYER
from channels_classic.exceptions import ChannelsError, DenyConnection
from channels_classic.generic.websockets import JsonWebsocketConsumer
from channels_classic.message import Message
from channels_classic.monitor import letters, viewers
from channels_classic.monitor.access import may_look
from channels_classic.monitor.looker import Looker
from channels_classic.monitor.lookers import looker_of

#: Letters of what is searched for.
_LONGEST = 200


class Live(JsonWebsocketConsumer):
    """Sends ``frame`` and ``history`` first, then a ``frame`` each second while workers run.

    ``{"find": text}`` and ``{"letter": id}`` are answered under the same keys.
    """

    http_user_and_session = True

    def connect(self, message: Message, **kwargs: Any) -> None:
        """Let the staff in."""
        if not may_look(message.user):
            raise DenyConnection
        super().connect(message, **kwargs)
        viewers.enter(self._looker.layer, message.reply_channel, message.http_session.session_key)
        self.send(_or_problem(self._looker.opening))

    def receive(self, content: Any, **kwargs: Any) -> None:  # type: ignore[override]
        """Answer a question of the page, of those who may still look."""
        if not may_look(self.message.user):
            self.close(viewers.NOT_ALLOWED)
            return
        match content:
            case {"find": str(text)}:
                self.send(_or_problem(lambda: {"find": self._looker.find(text[:_LONGEST])}))
            case {"letter": str(id_)}:
                self.send(_or_problem(lambda: {"letter": letters.in_full(self._looker, id_)}))

    @property
    def _looker(self) -> Looker:
        layer = self.message.channel_layer
        return looker_of(channel_layers[DEFAULT_CHANNEL_LAYER] if layer is None else layer)


def _or_problem(answer: Any) -> Any:
    """What ``answer`` returns, or why there is nothing to see."""
    try:
        return answer()
    except ChannelsError as error:
        return {"problem": str(error)}
