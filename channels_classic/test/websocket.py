"""WSClient: a client that speaks as a browser's WebSocket does."""

from __future__ import annotations

import json as json_module
from collections.abc import Iterable, Mapping
from http.cookies import SimpleCookie
from importlib import import_module
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.conf import settings
from django.contrib.auth import authenticate, load_backend, login
from django.http import HttpRequest

from channels_classic.conf import DEFAULT_CHANNEL_LAYER
from channels_classic.layers.traffic import Content
from channels_classic.sessions import session_for_reply_channel
from channels_classic.test.client import Client

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser
    from django.contrib.sessions.backends.base import SessionBase

_CONNECT = "websocket.connect"


class WSClient(Client):
    """A ``Client`` whose messages have a path, headers, cookies and a session.

    It has two sessions, as a browser has: ``session``, that of the site, whose key is in a cookie;
    and ``channel_session``, that of this one connection. The cookie is sent with its first message
    and with each ``websocket.connect``. With ``with_session`` off it is a visitor without a
    session, until a test logs in or looks at ``session``; that needs no database.

    With ``ordered``, messages are numbered as those of one connection are.
    """

    def __init__(
        self,
        ordered: bool = False,
        alias: str = DEFAULT_CHANNEL_LAYER,
        *,
        with_session: bool = True,
    ) -> None:
        super().__init__(alias)
        self.order = 0
        self._ordered = ordered
        self._with_session = with_session and apps.is_installed("django.contrib.sessions")
        self._cookie_is_due = True
        self._headers: dict[str, str | bytes] = {}
        self._cookies: dict[str, str] = {}
        self._session: SessionBase | None = None
        self._channel_session: SessionBase | None = None

    # What a browser sends along -----------------------------------------------------------

    def set_cookie(self, key: str, value: str) -> None:
        """Send this cookie from now on."""
        self._cookies[key] = value

    def set_header(self, key: str, value: str | bytes) -> None:
        """Send this header from now on; ``ValueError`` for that of the cookies."""
        if key.lower() == "cookie":
            raise ValueError("cookies have a method of their own: set_cookie()")
        self._headers[key] = value

    def get_cookies(self) -> dict[str, str]:
        """The cookies of the next message, that of the session among them when it is due."""
        key = self.session.session_key if self._cookie_is_due and self._with_session else None
        return {**self._cookies, settings.SESSION_COOKIE_NAME: key} if key else dict(self._cookies)

    @property
    def headers(self) -> dict[str, str | bytes]:
        """The headers of the next message; consumers get them as a list of pairs."""
        cookies: SimpleCookie = SimpleCookie(self.get_cookies())
        if not cookies:
            return dict(self._headers)
        cookie = "; ".join(f"{key}={cookies[key].coded_value}" for key in cookies)
        return {**self._headers, "cookie": cookie.encode("ascii")}

    # Sessions and users ---------------------------------------------------------------------

    @property
    def session(self) -> Any:
        """The session of the site, made when there is none.

        It is as it was stored last, with what the test puts into it: that is saved when the next
        message is sent. ``OSError`` without ``django.contrib.sessions``.
        """
        if not apps.is_installed("django.contrib.sessions"):
            raise OSError("add django.contrib.sessions to INSTALLED_APPS to have sessions")
        store = import_module(settings.SESSION_ENGINE).SessionStore
        if self._session is None:
            self._session = store()
            _save(self._session)
            self._with_session = self._cookie_is_due = True
        elif not self._session.modified:
            self._session = store(self._session.session_key)
        return self._session

    @property
    def channel_session(self) -> Any:
        """The session of this connection, in the same way."""
        if self._channel_session is None or not self._channel_session.modified:
            self._channel_session = session_for_reply_channel(
                self.reply_channel, self.channel_layer
            )
        return self._channel_session

    def login(self, **credentials: Any) -> bool:
        """Log the user with these credentials in; whether that was possible."""
        user = authenticate(**credentials)
        if user is None:
            return False
        self._login(user, None)
        return True

    def force_login(self, user: AbstractBaseUser, backend: str | None = None) -> None:
        """Log ``user`` in, by ``backend`` or the first one that knows users."""
        self._login(user, backend or _first_backend())

    def _login(self, user: Any, backend: str | None) -> None:
        request = HttpRequest()
        request.session = self.session
        login(request, user, backend)
        _save(request.session)
        self._cookie_is_due = True  # with another key

    # Messages -------------------------------------------------------------------------------

    def send(
        self,
        to: str,
        content: Mapping[str, Any] | None = None,
        text: Any = None,
        path: str = "/",
    ) -> None:
        """Send to the channel ``to`` as the interface server does.

        What follows a ``?`` in ``path`` is the query string, for ``websocket.connect`` alone. A
        ``text`` that is no ``str`` becomes JSON. What is in ``content`` is sent as it is.
        """
        for session in (self._session, self._channel_session):
            if session is not None and session.modified:
                _save(session)
        if to == _CONNECT:
            self._cookie_is_due = True
        super().send(to, self._content(to, content or {}, text, path))
        self._cookie_is_due = False

    def _content(self, to: str, content: Mapping[str, Any], text: Any, path: str) -> Content:
        path, _, query = path.partition("?")
        made: Content = {"path": path, "headers": self.headers}
        if to == _CONNECT:
            made["query_string"] = query.encode()
        made.update(content)
        made["headers"] = _pairs(made["headers"])
        if text is not None:
            made["text"] = text if isinstance(text, str) else json_module.dumps(text)
        if self._ordered:
            if "order" in content:
                raise ValueError("this client numbers its messages itself: leave 'order' out")
            made["order"] = self.order
            self.order += 1
        return made

    def send_and_consume(  # type: ignore[override]  # in the order of Channels 1
        self,
        channel: str,
        content: Mapping[str, Any] | None = None,
        text: Any = None,
        path: str = "/",
        fail_on_none: bool = True,
        check_accept: bool = True,
    ) -> Any:
        """``send``, then ``consume``; a connect must be accepted, unless ``check_accept`` is off.

        Then its first answer is ``{"accept": True}`` and nothing else, or ``AssertionError``.
        """
        self.send(channel, content, text, path)
        returned = self.consume(channel, fail_on_none=fail_on_none)
        if channel == _CONNECT and check_accept:
            answer = self.receive(json=False)
            if answer != {"accept": True}:
                raise AssertionError(
                    f"The socket was not accepted: its first answer is {answer!r}, "
                    "not {'accept': True}"
                )
        return returned

    def receive(self, json: bool = True) -> Any:
        """The next answer: its text, decoded with ``json``; without a text its content; or None."""
        content = super().receive()
        if content is None or content.get("text") is None:
            return content
        text = content["text"]
        return json_module.loads(text) if json and isinstance(text, str) else text


def _save(session: SessionBase) -> None:
    session.save()
    session.modified = False  # so that it is read anew next time: consumers may change it


def _pairs(headers: Any) -> list[list[bytes]]:
    """Headers as the interface server puts them into messages."""
    given: Iterable[Any] = headers.items() if isinstance(headers, Mapping) else headers
    return [[_as_bytes(name).lower(), _as_bytes(value)] for name, value in given]


def _as_bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode("latin-1")


def _first_backend() -> str:
    """As with Django's test client."""
    for path in settings.AUTHENTICATION_BACKENDS:
        if hasattr(load_backend(path), "get_user"):
            return str(path)
    raise ValueError("AUTHENTICATION_BACKENDS has no backend that knows users")
