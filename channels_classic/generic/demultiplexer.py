"""WebsocketDemultiplexer: one socket for many consumers, each behind a stream of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any, ClassVar, NoReturn

from channels_classic import outbox
from channels_classic.exceptions import DenyConnection, SendNotAvailableOnDemultiplexer
from channels_classic.generic.base import Handler, refuse_async
from channels_classic.generic.multiplexer import WebsocketMultiplexer
from channels_classic.generic.sockets import JsonWebsocketConsumer
from channels_classic.message import Message
from channels_classic.utils import name_that_thing


class WebsocketDemultiplexer(JsonWebsocketConsumer):
    """Hands each frame ``{"stream": …, "payload": {…}}`` to the consumer of that stream.

    All of them are called when the socket connects and disconnects. They share the message, its
    reply channel and its sessions, and get a ``multiplexer`` to answer with beside what the route
    captured. They are not changed: elsewhere they are consumers as before.
    """

    #: The consumer of each stream: a class, a function, or ``consumer`` of a binding.
    consumers: ClassVar[Mapping[str, Handler]] = {}
    multiplexer_class: ClassVar[type[WebsocketMultiplexer]] = WebsocketMultiplexer

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for stream, consumer in cls.consumers.items():
            refuse_async(consumer, f"{name_that_thing(cls)}.consumers[{stream!r}]")

    def connect(self, message: Message, **kwargs: Any) -> None:
        """Accept the socket, and then have each consumer connect; if one denies it, do not."""
        super().connect(message, **kwargs)
        try:
            for stream in self.consumers:
                self._call(stream, message, kwargs)
        except DenyConnection:
            self._withdraw()
            raise

    def receive(self, content: Any, **kwargs: Any) -> None:  # type: ignore[override]
        """Hand the payload to the consumer of the stream.

        Raises ``ValueError`` for what is not a frame of a known stream.
        """
        stream, payload = self._taken_apart(content)
        text = self.message["text"]
        self.message["text"] = self.encode_json(payload)
        try:
            self._call(stream, self.message, kwargs)
        finally:
            self.message["text"] = text  # as it came, for when it is run again later

    def disconnect(self, message: Message, **kwargs: Any) -> None:
        """Have each consumer disconnect, also after an error in one of them."""
        with contextlib.ExitStack() as stack:
            for stream in reversed(list(self.consumers)):
                stack.callback(self._call, stream, message, kwargs)

    def send(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raises ``SendNotAvailableOnDemultiplexer``: each consumer sends on its own stream."""
        raise SendNotAvailableOnDemultiplexer(_ADVICE)

    @classmethod
    def group_send(cls, *args: Any, **kwargs: Any) -> NoReturn:
        """Raises ``SendNotAvailableOnDemultiplexer``: use ``WebsocketMultiplexer.group_send``."""
        raise SendNotAvailableOnDemultiplexer(_ADVICE)

    def _call(self, stream: str, message: Message, kwargs: dict[str, Any]) -> None:
        multiplexer = self.multiplexer_class(stream, self._reply_channel)
        self.consumers[stream](message, **{**kwargs, "multiplexer": multiplexer})

    def _taken_apart(self, content: Any) -> tuple[str, dict[str, Any]]:
        who = name_that_thing(type(self))
        if not isinstance(content, dict) or not {"stream", "payload"} <= content.keys():
            raise ValueError(
                f'{who} takes frames {{"stream": …, "payload": {{…}}}}, not {content!r:.80}'
            )
        stream, payload = content["stream"], content["payload"]
        if not isinstance(stream, str) or stream not in self.consumers:
            known = ", ".join(self.consumers) or "none"
            raise ValueError(f"{who} has no stream {stream!r:.80}; it has: {known}")
        if not isinstance(payload, dict):
            raise ValueError(
                f"{who} takes an object as payload, and was sent {payload!r:.80} on {stream!r}"
            )
        return stream, payload

    def _withdraw(self) -> None:
        """Take back what is held back for the socket: it would accept what is denied."""
        held = outbox.current()
        if held is not None:
            name = self._reply_channel.name
            held.sends = [send for send in held.sends if send[1].name != name]


_ADVICE = (
    "a demultiplexer has no stream of its own: send by the multiplexer that each of its consumers "
    "is called with, or to a group by WebsocketMultiplexer.group_send(name, stream, payload)"
)
