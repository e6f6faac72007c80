"""Consumers of one WebSocket as classes: of plain frames, and of JSON."""

from __future__ import annotations

import builtins
import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from channels_classic import auth, sessions
from channels_classic.channel import Channel, Group
from channels_classic.exceptions import SendNotAvailableOnDemultiplexer
from channels_classic.generic.base import BaseConsumer, Handler
from channels_classic.generic.connections import groups_of, reply_channel_of
from channels_classic.generic.multiplexer import WebsocketMultiplexer, as_json
from channels_classic.layers.traffic import Content
from channels_classic.message import Message
from channels_classic.utils import name_that_thing


class WebsocketConsumer(BaseConsumer):
    """Override ``connect``, ``receive`` and ``disconnect``; answer by ``send`` and ``close``.

    The messages of a socket come in order and one at a time as it is.
    """

    method_mapping: ClassVar[Mapping[str, str]] = {
        "websocket.connect": "raw_connect",
        "websocket.receive": "raw_receive",
        "websocket.disconnect": "raw_disconnect",
    }
    _hooks = (*BaseConsumer._hooks, "connection_groups", "connect", "receive", "disconnect")

    #: Whether the user of the HTTP session is ``message.user``, on every message of the socket.
    http_user: bool = False
    #: The same, with the HTTP session itself as ``message.http_session``.
    http_user_and_session: bool = False
    #: ``enforce_ordering`` around it all, which is ``channel_session`` today.
    strict_ordering: bool = False
    #: True is refused with ``ValueError``: it is no more.
    slight_ordering: bool = False
    #: The groups that each socket joins, unless ``connection_groups`` says otherwise.
    groups: ClassVar[Sequence[str] | None] = None

    def __init__(self, message: Message, **kwargs: Any) -> None:
        self.path: str = message["path"]
        super().__init__(message, **kwargs)

    def get_handler(self, message: Message, **kwargs: Any) -> Handler:
        """As of every consumer, with the HTTP user and session that are asked for."""
        handler = super().get_handler(message, **kwargs)
        connecting = message.channel_name == "websocket.connect"
        if self.http_user_and_session:
            if connecting:
                handler = auth.channel_and_http_session_user_from_http(handler)
            else:
                handler = sessions.channel_and_http_session(auth.channel_session_user(handler))
        elif self.http_user:
            if connecting:
                handler = auth.channel_session_user_from_http(handler)
            else:
                handler = auth.channel_session_user(handler)
        if self.strict_ordering or self.slight_ordering:
            handler = sessions.enforce_ordering(slight=self.slight_ordering)(handler)
        return handler

    # Groups ---------------------------------------------------------------------------------

    def connection_groups(self, **kwargs: Any) -> Sequence[str]:
        """The groups of this socket, a list or tuple of names: it is in them while it is open."""
        return self.groups or []

    def _leave(self, groups: Sequence[Group]) -> None:
        for group in groups:
            group.discard(self._reply_channel)

    # The three messages -----------------------------------------------------------------------

    def raw_connect(self, message: Message, **kwargs: Any) -> None:
        """Join the groups, then ``connect``; a socket that it refuses stays in none."""
        groups = groups_of(self, message, kwargs)
        try:
            for group in groups:
                group.add(self._reply_channel)
            self.connect(message, **kwargs)
        except BaseException:
            self._leave(groups)
            raise

    def connect(self, message: Message, **kwargs: Any) -> None:
        """Accept the socket. On a demultiplexer there is nothing to do: it has been accepted."""
        if not self._is_demultiplexed:
            self._reply_channel.send({"accept": True})

    def raw_receive(self, message: Message, **kwargs: Any) -> None:
        """Take the frame apart for ``receive``."""
        text = message.get("text")
        if text is not None:
            self.receive(text=text, **kwargs)
        else:
            self.receive(bytes=message.get("bytes"), **kwargs)

    def receive(
        self,
        text: str | None = None,
        bytes: builtins.bytes | None = None,  # noqa: A002 - so it is called
        **kwargs: Any,
    ) -> None:
        """Called with each frame, which is one of the two."""

    def raw_disconnect(self, message: Message, **kwargs: Any) -> None:
        """Leave the groups, then ``disconnect``."""
        self._leave(groups_of(self, message, kwargs))
        self.disconnect(message, **kwargs)

    def disconnect(self, message: Message, **kwargs: Any) -> None:
        """Called when the socket has closed; ``message["code"]`` is the close code."""

    # Answers ----------------------------------------------------------------------------------

    def send(
        self,
        text: str | None = None,
        bytes: builtins.bytes | None = None,  # noqa: A002
        close: bool | int = False,
    ) -> None:
        """Send a frame, and then close the socket if asked, True or a close code.

        Raises ``ValueError`` for neither text nor bytes, ``SendNotAvailableOnDemultiplexer`` on a
        demultiplexer, and as ``Channel.send``.
        """
        if self._is_demultiplexed:
            raise SendNotAvailableOnDemultiplexer(
                f"{name_that_thing(type(self))} shares its socket with other streams: "
                "send by the multiplexer that its methods are called with"
            )
        self._reply_channel.send(frame(text, bytes, close))

    @classmethod
    def group_send(
        cls,
        name: str,
        text: str | None = None,
        bytes: builtins.bytes | None = None,  # noqa: A002
        close: bool | int = False,
    ) -> None:
        """``send`` to each socket of the group ``name``."""
        Group(name).send(frame(text, bytes, close))

    def close(self, status: bool | int = True) -> None:
        """Close the socket, with the close code ``status`` if it is one."""
        self._reply_channel.send({"close": status})

    @property
    def _reply_channel(self) -> Channel:
        return reply_channel_of(self.message)

    @property
    def _is_demultiplexed(self) -> bool:
        return isinstance(self.kwargs.get("multiplexer"), WebsocketMultiplexer)


def frame(text: str | None, data: bytes | None, close: bool | int) -> Content:
    """The message for one frame; ``ValueError`` when there is nothing to send."""
    if text is not None:
        content: Content = {"text": text}
    elif data is not None:
        content = {"bytes": data}
    else:
        raise ValueError("give text or bytes to send; close() closes the socket without a frame")
    if close:
        content["close"] = close
    return content


class JsonWebsocketConsumer(WebsocketConsumer):
    """A ``WebsocketConsumer`` whose frames are JSON: ``receive(content)``, ``send(content)``."""

    def raw_receive(self, message: Message, **kwargs: Any) -> None:
        """Decode the frame for ``receive``; ``ValueError`` for one that is not JSON."""
        text = message.get("text")
        if text is None:
            raise ValueError(f"{name_that_thing(type(self))} takes JSON as text, not binary frames")
        try:
            content = self.decode_json(text)
        except (ValueError, RecursionError) as error:
            raise ValueError(
                f"{name_that_thing(type(self))} was sent {text!r:.80}, which is not JSON: {error}"
            ) from error
        self.receive(content, **kwargs)

    def receive(self, content: Any, **kwargs: Any) -> None:  # type: ignore[override]
        """Called with what each frame holds."""

    def send(self, content: Any, close: bool | int = False) -> None:  # type: ignore[override]
        """Send ``content`` as JSON. Raises as ``encode_json`` and ``WebsocketConsumer.send``."""
        super().send(text=self.encode_json(content), close=close)

    @classmethod
    def decode_json(cls, text: str) -> Any:
        """What ``text`` holds, or ``ValueError``."""
        return json.loads(text)

    @classmethod
    def encode_json(cls, content: Any) -> str:
        """``content`` as JSON: dates, decimals and UUIDs are texts there, else ``TypeError``."""
        return as_json(content)

    @classmethod
    def group_send(  # type: ignore[override]
        cls, name: str, content: Any, close: bool | int = False
    ) -> None:
        """``send`` to each socket of the group ``name``."""
        super().group_send(name, text=cls.encode_json(content), close=close)
