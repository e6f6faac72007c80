"""Every error of the package."""

from __future__ import annotations

import inspect

import pytest

from channels_classic import exceptions
from channels_classic.asgi import ChannelLayerWrapper
from channels_classic.exceptions import (
    ChannelsError,
    ChannelSocketException,
    DenyConnection,
    InvalidChannelLayerError,
    InvalidContent,
    InvalidName,
    LayerUnavailable,
    WebsocketCloseException,
)
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.message import Message

ERRORS = [
    each
    for _, each in inspect.getmembers(exceptions, inspect.isclass)
    if issubclass(each, Exception) and each.__module__ == exceptions.__name__
]


@pytest.fixture
def wrapper():
    return ChannelLayerWrapper(InMemoryChannelLayer(), "default", [])


def message(wrapper, channel, **content):
    return Message(content, channel, wrapper)


def answer(wrapper):
    return wrapper.receive(["answers?1"])[1]


@pytest.mark.parametrize(
    "name",
    [
        *("ConsumeLater", "ResponseLater", "RequestTimeout", "RequestAborted", "DenyConnection"),
        *("ChannelSocketException", "WebsocketCloseException", "SendNotAvailableOnDemultiplexer"),
        *("ChannelFull", "MessageTooLarge", "InvalidChannelLayerError"),
    ],
)
def test_the_names_of_channels_1_are_here(name):
    assert getattr(exceptions, name) in ERRORS


@pytest.mark.parametrize("error", ERRORS)
def test_every_error_has_the_same_root(error):
    assert issubclass(error, ChannelsError)


@pytest.mark.parametrize("error", ERRORS)
def test_the_docstring_is_the_text_of_an_error_without_one(error):
    assert str(error()) == inspect.getdoc(error)


@pytest.mark.parametrize("error", [e for e in ERRORS if e is not WebsocketCloseException])
def test_an_error_may_have_a_text_of_its_own(error):
    assert str(error("in other words")) == "in other words"


@pytest.mark.parametrize(
    ("error", "known_as"),
    [
        (InvalidName, TypeError),
        (InvalidContent, TypeError),
        (InvalidContent, ValueError),
        (InvalidChannelLayerError, ValueError),
        (LayerUnavailable, ConnectionError),
        (DenyConnection, ChannelSocketException),
        (WebsocketCloseException, ChannelSocketException),
    ],
)
def test_an_error_is_also_what_code_knows_it_as(error, known_as):
    assert issubclass(error, known_as)


@pytest.mark.parametrize("in_doubt", [True, False])
def test_a_layer_that_is_away_may_have_done_what_it_was_asked(in_doubt):
    assert LayerUnavailable("no bus", in_doubt=in_doubt).in_doubt is in_doubt


def test_unless_said_nothing_is_in_doubt():
    assert LayerUnavailable().in_doubt is False


# Speaking to the socket ---------------------------------------------------------------------------


def test_a_socket_exception_says_what_it_does_in_run(wrapper):
    class Mine(ChannelSocketException):
        pass

    with pytest.raises(NotImplementedError, match="Mine must define run"):
        Mine().run(message(wrapper, "websocket.receive"))


def test_a_denied_connection_is_closed_in_its_handshake(wrapper):
    DenyConnection().run(message(wrapper, "websocket.connect", reply_channel="answers?1"))
    assert answer(wrapper) == {"close": True}


@pytest.mark.parametrize("channel", ["websocket.receive", "http.request", None])
def test_only_a_handshake_can_be_denied(wrapper, channel):
    with pytest.raises(ValueError, match="for consumers of websocket.connect.*WebsocketClose"):
        DenyConnection().run(message(wrapper, channel, reply_channel="answers?1"))


@pytest.mark.parametrize(("code", "close"), [(None, True), (1000, 1000), (4999, 4999)])
@pytest.mark.parametrize("reply_channel", ["answers?1", "server.reply.abc!1", "websocket.send!1"])
def test_a_socket_is_closed_whatever_its_reply_channel_is_called(
    wrapper, code, close, reply_channel
):
    """Weakness 25: only reply channels that began with ``websocket.`` were taken."""
    WebsocketCloseException(code).run(
        message(wrapper, "websocket.receive", reply_channel=reply_channel)
    )
    name = reply_channel.split("!")[0] + "!" if "!" in reply_channel else reply_channel
    assert wrapper.receive([name]) == (reply_channel, {"close": close})


@pytest.mark.parametrize("code", [0, 1, 999, 1005, 1006, 2999, 5000, 1000.5])
def test_a_bad_close_code_is_refused_where_it_is_written(code):
    with pytest.raises(ValueError, match="not a close code"):
        WebsocketCloseException(code)


@pytest.mark.parametrize("code", ["1000", True, [1000]])
def test_a_close_code_that_is_no_number_is_refused_too(code):
    with pytest.raises(TypeError, match="a close code is an int"):
        WebsocketCloseException(code)


@pytest.mark.parametrize("error", [DenyConnection, WebsocketCloseException])
def test_without_a_reply_channel_there_is_no_socket_to_close(wrapper, error):
    with pytest.raises(ValueError, match="no reply channel"):
        error().run(message(wrapper, "websocket.connect"))
