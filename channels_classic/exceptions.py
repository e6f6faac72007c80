"""Every error of the package, under one root; an error's docstring is its default text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from channels_classic.utils import check_close_code

if TYPE_CHECKING:
    from channels_classic.message import Message


class ChannelsError(Exception):
    """Something went wrong in channels_classic."""

    def __init__(self, text: object = None, *more: object) -> None:
        super().__init__(text or type(self).__doc__, *more)


class UpError(ChannelsError):
    """A site cannot be run as it was asked for, or one of its programs does not start."""


# What a channel layer answers ------------------------------------------------------------


class ChannelFull(ChannelsError):
    """The channel is at capacity: add workers, raise its capacity, or send less."""


class MessageTooLarge(ChannelsError):
    """The message is over the layer's size limit: send a reference to the data instead."""


class InvalidName(ChannelsError, TypeError):
    """The channel or group name is not valid."""


class InvalidContent(ChannelsError, TypeError, ValueError):
    """The content of a message must be a dict of values that msgpack can carry."""


class UndecodableMessage(ChannelsError):
    """The entry is not a message of ours, or its key is not one of this layer's keys."""


class LayerUnavailable(ChannelsError, ConnectionError):
    """The channel layer cannot be reached."""

    def __init__(self, text: str | None = None, *, in_doubt: bool = False) -> None:
        super().__init__(text)
        #: Whether what was asked for may have been carried out all the same.
        self.in_doubt = in_doubt


class InvalidChannelLayerError(ChannelsError, ValueError):
    """The CHANNEL_LAYERS setting is not usable."""


# What a consumer or a view raises to steer what happens next -----------------------------


class ConsumeLater(ChannelsError):
    """The consumer asks for its message to be run again later."""


class TimeLimitExceeded(ChannelsError):
    """The consumer ran for longer than its time limit."""


class ResponseLater(ChannelsError):
    """The view will not answer now: other code sends the response to the reply channel."""


class RequestTimeout(ChannelsError):
    """The body of the request did not arrive in time."""


class RequestAborted(ChannelsError):
    """The client went away before the whole request body had arrived."""


class ChannelSocketException(ChannelsError):
    """Raised in a consumer to act on its socket: a subclass says how, in ``run()``."""

    def run(self, message: Message) -> None:
        """Do to the socket of ``message`` what this exception stands for."""
        raise NotImplementedError(f"{type(self).__name__} must define run(message)")


class DenyConnection(ChannelSocketException):
    """The WebSocket is refused: the client gets 403 instead of a connection."""

    def run(self, message: Message) -> None:
        """Refuse the handshake; anywhere but on ``websocket.connect`` it is a mistake."""
        if not message.channel or message.channel.name != "websocket.connect":
            raise ValueError(
                "DenyConnection is for consumers of websocket.connect; "
                "raise WebsocketCloseException to close an open socket"
            )
        _answer(message, {"close": True})


class WebsocketCloseException(ChannelSocketException):
    """The socket is closed, with ``code`` when one is given (RFC 6455 section 7.4)."""

    def __init__(self, code: int | None = None) -> None:
        if code is not None:
            check_close_code(code)
        super().__init__()
        self.code = code

    def run(self, message: Message) -> None:
        """Close the socket that ``message`` came from."""
        _answer(message, {"close": self.code or True})


class SendNotAvailableOnDemultiplexer(ChannelsError):
    """A demultiplexed consumer sends through the ``multiplexer`` it is given, not directly."""


def _answer(message: Message, content: dict[str, Any]) -> None:
    if message.reply_channel is None:
        raise ValueError("the message has no reply channel: there is no socket to close")
    message.reply_channel.send(content)
