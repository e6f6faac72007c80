"""The users of consumers, on top of the sessions of their connections and browsers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, TypeVar

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user
from django.contrib.sessions.backends.base import SessionBase

from channels_classic.sessions import (
    Call,
    channel_and_http_session,
    channel_session,
    decorator,
    http_session,
    in_both_sessions,
    in_channel_session,
    in_http_session,
)

__all__ = [
    "channel_and_http_session",
    "channel_and_http_session_user_from_http",
    "channel_session",
    "channel_session_user",
    "channel_session_user_from_http",
    "http_session",
    "http_session_user",
    "transfer_user",
]

F = TypeVar("F", bound=Callable[..., Any])
_Session = SessionBase | MutableMapping[str, Any]

_KEYS = (BACKEND_SESSION_KEY, SESSION_KEY, HASH_SESSION_KEY)


def transfer_user(from_session: _Session, to_session: _Session) -> None:
    """Log the user of one session into another; nothing is copied if part of it is missing."""
    if all(key in from_session for key in _KEYS):
        for key in _KEYS:
            if to_session.get(key) != from_session[key]:  # else there is nothing to save
                to_session[key] = from_session[key]


class _Login:
    """The user's part of a channel session, as Django may change it when it looks at it.

    A login that is no longer good, as after a change of password, ends; what else the consumers
    have in the session of their connection stays.
    """

    def __init__(self, session: SessionBase) -> None:
        self._session = session

    def __getitem__(self, key: str) -> Any:
        return self._session[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._session[key] = value

    def get(self, key: str, default: Any = None) -> Any:
        """What ``key`` has in the session."""
        return self._session.get(key, default)

    def flush(self) -> None:
        """The login is not good."""
        for key in _KEYS:
            self._session.pop(key, None)

    def cycle_key(self) -> None:
        """It is, by an older ``SECRET_KEY``: the key of the session follows from its channel."""


def _user_of(session: Any) -> Any:
    """The user of a session; ``AnonymousUser`` when it has none, and the database is not asked."""
    return get_user(SimpleNamespace(session=session))  # type: ignore[arg-type]  # all it looks at


def _http_user(call: Call) -> Any:
    session = call.message.http_session
    return _user_of({} if session is None else session)


def _channel_user(call: Call) -> Any:
    return _user_of(_Login(call.message.channel_session))


@contextmanager
def _with_channel_user(call: Call) -> Iterator[None]:
    with in_channel_session(call):
        call.message.user = _channel_user(call)
        yield


@contextmanager
def _with_http_user(call: Call) -> Iterator[None]:
    with in_http_session(call):
        call.message.user = _http_user(call)
        yield


@contextmanager
def _with_user_from_http(call: Call) -> Iterator[None]:
    with in_http_session(call), in_channel_session(call):
        _hand_over(call)
        yield


@contextmanager
def _with_both_and_user_from_http(call: Call) -> Iterator[None]:
    with in_both_sessions(call):
        _hand_over(call)
        yield


def _hand_over(call: Call) -> None:
    """The user of the HTTP session becomes that of the channel session, too."""
    message = call.message
    if message.http_session is None:
        message.user = _channel_user(call)
    else:
        message.user = _http_user(call)
        transfer_user(message.http_session, message.channel_session)


def channel_session_user(func: F) -> F:
    """``channel_session``, and ``message.user`` from it; ``AnonymousUser`` when it has none."""
    return decorator(_with_channel_user, "channel_session_user")(func)


def http_session_user(func: F) -> F:
    """``http_session``, and ``message.user`` from it; ``AnonymousUser`` when there is none."""
    return decorator(_with_http_user, "http_session_user")(func)


def channel_session_user_from_http(func: F) -> F:
    """For ``websocket.connect``: both, with the user of the HTTP session in the channel session.

    The consumers of later messages find the user with ``channel_session_user``.
    """
    return decorator(_with_user_from_http, "channel_session_user_from_http")(func)


def channel_and_http_session_user_from_http(func: F) -> F:
    """``channel_and_http_session``, with the user of the HTTP session in the channel session.

    It is for the consumers of every message of the connection.
    """
    return decorator(_with_both_and_user_from_http, "channel_and_http_session_user_from_http")(func)
