"""Sessions for consumers: the one of their connection, and the one of the browser behind it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from importlib import import_module
from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, overload

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.sessions.backends import signed_cookies
from django.contrib.sessions.backends.base import CreateError, SessionBase, UpdateError
from django.core.handlers.asgi import ASGIRequest

from channels_classic import bus_sessions
from channels_classic.asgi import ChannelLayerWrapper, channel_layers
from channels_classic.bus_sessions import OfConnection, Watched, watched
from channels_classic.conf import DEFAULT_CHANNEL_LAYER, channel_session_engine, option
from channels_classic.exceptions import ChannelFull, ConsumeLater, DenyConnection
from channels_classic.message import Message
from channels_classic.policy import policy_of
from channels_classic.scope import http_scope

if TYPE_CHECKING:
    from channels_classic.layers.base import BaseChannelLayer

F = TypeVar("F", bound=Callable[..., Any])


# The session of a connection ------------------------------------------------------------------


def session_for_reply_channel(
    name: str, channel_layer: ChannelLayerWrapper | BaseChannelLayer | None = None
) -> OfConnection:
    """The session of the reply channel ``name``; save it after changes.

    It is kept on ``channel_layer``, by default the default one, and read when somebody looks at
    it. With ``CHANNEL_SESSION_ENGINE``, or on a layer without attachments, an engine of Django's
    keeps it, and it is read now. Raises ``ValueError`` for an engine that keeps them in cookies.
    """
    engine, on_bus = channel_session_engine(), bus_sessions.__name__
    if engine in (None, on_bus):
        layer = _raw(channel_layer)
        if engine == on_bus or getattr(layer, "attachments", False):  # layers of others have none
            return bus_sessions.SessionStore(name, layer)
    return _of_django(name, engine or settings.SESSION_ENGINE)


def _raw(layer: ChannelLayerWrapper | BaseChannelLayer | None) -> BaseChannelLayer:
    found = channel_layers[DEFAULT_CHANNEL_LAYER] if layer is None else layer
    return found.channel_layer if isinstance(found, ChannelLayerWrapper) else found


def _of_django(name: str, engine: str) -> OfConnection:
    store = import_module(engine).SessionStore
    if issubclass(store, signed_cookies.SessionStore):
        raise ValueError(
            f"{engine} keeps sessions in cookies, which the client of a socket does not get: "
            "leave CHANNEL_SESSION_ENGINE out, so that the channel layer keeps those of sockets"
        )
    session: OfConnection = watched(store, OfConnection)(name)
    session.keys()  # which reads it
    return session


def _open(message: Message) -> OfConnection:
    if message.reply_channel is None:
        raise ValueError(
            f"a message on {message.channel_name} has no reply channel, so it has no session: "
            "sessions are for messages of sockets and requests"
        )
    session = session_for_reply_channel(message.reply_channel.name, message.channel_layer)
    is_on_bus = isinstance(session, bus_sessions.SessionStore)
    if session.is_new and not is_on_bus and message.channel_name != "websocket.disconnect":
        try:
            session.save()
        except CreateError:  # another consumer of the connection has just made it, or
            session.load()
            if session.is_new:  # it has expired, and was not cleared yet
                session.delete()
            raise ConsumeLater("the session of the connection was there already") from None
    return session


# The session of a browser ---------------------------------------------------------------------


def _from_request(message: Message) -> Watched | None:
    """The session that the request of ``message`` names, or None; ``ValueError`` for no request."""
    message.content.setdefault("method", "FAKE")
    try:
        request = ASGIRequest(http_scope(message.content), BytesIO())
        cookies, query = request.COOKIES, request.GET
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"a message on {message.channel_name} is no HTTP request, so that it names no session: "
            f"{error!r}"
        ) from error
    key = query.get("session_key") if option("SESSION_KEY_IN_URL", False) else None
    return _of_browser(key or cookies.get(settings.SESSION_COOKIE_NAME))


def _from_connection(message: Message) -> Watched | None:
    """The same; after the handshake, the one that the connection has had from there on."""
    found = _from_request(message) if "headers" in message else None
    return found or _of_browser(message.channel_session.get(settings.SESSION_COOKIE_NAME))


def _of_browser(key: str | None) -> Watched | None:
    store = import_module(settings.SESSION_ENGINE).SessionStore
    return watched(store, Watched)(key) if key else None


# Around a call of a consumer ------------------------------------------------------------------


class Call(NamedTuple):
    """One call of a decorated consumer."""

    message: Message
    #: The consumer waits on an event loop: what it may look at is to be there.
    eager: bool
    #: What may say how often the message is tried.
    owners: tuple[Any, ...]

    def is_last(self, error: BaseException | None) -> bool:
        """Whether the message is not run again after it ended with ``error``, or without."""
        if error is None or self.message.__doomed__:
            return True
        again = any(policy_of(owner).at_least_once for owner in self.owners)
        return not (again or isinstance(error, ConsumeLater))

    def ends_connection(self, error: BaseException | None) -> bool:
        """Whether no other message of the connection will come."""
        if self.message.channel_name == "websocket.connect":
            return isinstance(error, DenyConnection)
        return self.message.channel_name == "websocket.disconnect" and self.is_last(error)


Scope = Callable[[Call], AbstractContextManager[None]]


@contextmanager
def in_channel_session(call: Call) -> Iterator[None]:
    """``message.channel_session`` in the block; saved after it, or removed at the end."""
    message, outer = call.message, call.message.channel_session
    session = outer if outer is not None else _open(message)
    message.channel_session = session
    if call.eager:
        session.keys()
    error: BaseException | None = None
    try:
        yield
    except BaseException as raised:
        error = raised
        raise
    finally:
        if outer is None and call.ends_connection(error):
            session.end()
        else:
            _save(session)


@contextmanager
def in_http_session(
    call: Call, find: Callable[[Message], Watched | None] = _from_request
) -> Iterator[None]:
    """``message.http_session`` in the block; saved after it when no error ended that."""
    message, outer = call.message, call.message.http_session
    session = message.http_session = outer if outer is not None else find(message)
    if call.eager and session is not None:
        session.keys()
    try:
        yield
    except BaseException:
        if outer is not None:
            _save(session)
        raise
    _save(session)


@contextmanager
def in_both_sessions(call: Call) -> Iterator[None]:
    """Both in the block; the channel session knows the other one's key."""
    with in_channel_session(call), in_http_session(call, _from_connection):
        message, name = call.message, settings.SESSION_COOKIE_NAME
        found = message.http_session
        if found is not None and message.channel_session.get(name) != found.session_key:
            message.channel_session[name] = found.session_key
        yield


def _save(session: SessionBase | None) -> None:
    """If there is anything to save; none is made that nobody could be told of."""
    if session is None:
        return
    has_changed = session.has_changed() if isinstance(session, Watched) else session.modified
    if has_changed and session.session_key is not None:
        with suppress(UpdateError):  # the browser has logged out, or the connection has closed
            session.save()


def decorator(scope: Scope, name: str) -> Callable[[F], F]:
    """The decorator ``name``: what it decorates is called within ``scope``."""

    def decorate(function: Any) -> Any:
        owner = getattr(function, "__self__", None)

        def called(arguments: tuple[Any, ...], *, eager: bool) -> AbstractContextManager[None]:
            found = next((each for each in arguments[:2] if isinstance(each, Message)), None)
            if found is None:
                raise ValueError(
                    f"@{name} is for consumers: their first argument, or that after self, is a "
                    f"Message, not {arguments[:2]!r:.80}"
                )
            return scope(Call(found, eager, (run, owner, arguments[0])))

        if _is_async(function):

            @functools.wraps(function)
            async def run(*arguments: Any, **kwargs: Any) -> Any:
                async with _OnThread(called(arguments, eager=True)):
                    return await function(*arguments, **kwargs)
        else:

            @functools.wraps(function)
            def run(*arguments: Any, **kwargs: Any) -> Any:
                with called(arguments, eager=False):
                    return function(*arguments, **kwargs)

        return run

    return decorate


def _is_async(function: Any) -> bool:
    """Whether a call is to be awaited: a function, or an object that is called like one."""
    call = type(function).__call__
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)


class _OnThread:
    """A scope whose two ends run on a thread, as they may wait for the network or a database."""

    def __init__(self, scope: AbstractContextManager[None]) -> None:
        self._scope = scope

    async def __aenter__(self) -> None:
        await sync_to_async(self._scope.__enter__)()

    async def __aexit__(self, *error: Any) -> bool | None:  # noqa: PYI036 - as they come
        return await sync_to_async(self._scope.__exit__)(*error)


# The decorators -------------------------------------------------------------------------------


def channel_session(func: F) -> F:
    """Give a consumer ``message.channel_session``, the session of its connection.

    It is saved after the call when it has changed, also after an error, and removed when the
    connection ends: after ``websocket.disconnect``, or when the consumer of ``websocket.connect``
    denies it. For functions, methods and coroutine functions, to which all of it is there from the
    start. A call raises ``ValueError`` without a message, or for one without a reply channel.
    """
    return decorator(in_channel_session, "channel_session")(func)


def http_session(func: F) -> F:
    """Give a consumer ``message.http_session``: the session of the site that the request names.

    It is None when the request has no session cookie, and no new one is made; a key in the URL
    counts only with the option ``SESSION_KEY_IN_URL``. It is saved after the call when it has
    changed, unless the call ends with an error. A call raises ``ValueError`` without a message,
    or for one that is no request.
    """
    return decorator(in_http_session, "http_session")(func)


def channel_and_http_session(func: F) -> F:
    """Both ``channel_session`` and ``http_session``; later messages have the latter, too.

    The consumers of all messages of the connection need it: that of ``websocket.connect`` keeps
    the key of the HTTP session in the channel session, the others open it again.
    """
    return decorator(in_both_sessions, "channel_and_http_session")(func)


@overload
def enforce_ordering(func: F, /) -> F: ...


@overload
def enforce_ordering(func: None = None, /, *, slight: bool = False) -> Callable[[F], F]: ...


def enforce_ordering(func: Any = None, /, *, slight: bool = False) -> Any:
    """``channel_session``, which it implied: ``@enforce_ordering`` or ``@enforce_ordering()``.

    For the order there is nothing left to do. The interface server has at most one message of a
    connection on the bus, and the next one goes when the last has been dealt with: consumers of a
    connection run in order and one at a time, whether they are functions, methods or behind a
    demultiplexer, an error in one of them stops nothing, and nothing waits in a worker.

    Only a consumer with ``@consumer(ordering=False)``, or a server with ``ordering`` off, is
    without it. ``slight=True`` is refused with ``ValueError``, as Channels 1 did in the end.
    """
    if slight:
        raise ValueError(
            "slight ordering is no more: each connection has its messages in order as it is, so "
            "leave slight out"
        )
    return channel_session if func is None else channel_session(func)


# What Channels 1 let messages wait on; nothing here does ---------------------------------------


def wait_channel_name(reply_channel: str) -> str:
    """The channel on which messages of ``reply_channel`` waited for their turn in Channels 1."""
    return "__wait__." + reply_channel.replace("!", "?")


def requeue_messages(message: Message) -> None:
    """Put what waits for the connection of ``message`` back on the channels that it was on.

    Raises ``ChannelFull`` when one of those is full: the message then waits again.
    """
    if message.reply_channel is None:
        raise ValueError("the message has no reply channel: nothing waits for it")
    name, layer = wait_channel_name(message.reply_channel.name), _raw(message.channel_layer)
    while (content := layer.receive([name])[1]) is not None:
        original = content.pop("original_channel")
        try:
            layer.send(original, content)
        except ChannelFull as error:
            layer.send(name, {**content, "original_channel": original})
            raise ChannelFull(f"{original} has no room for messages that waited") from error
