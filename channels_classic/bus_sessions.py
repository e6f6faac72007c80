"""What keeps sessions: the bus, or an engine of Django's for sessions that keep their key."""

from __future__ import annotations

import functools
import hashlib
import logging
from typing import TYPE_CHECKING, Any

from django.contrib.sessions.backends.base import SessionBase

if TYPE_CHECKING:
    from channels_classic.layers.base import BaseChannelLayer

logger = logging.getLogger("channels_classic.sessions")

#: What the data of a session are attached to its reply channel under.
ATTACHED = "session"


def session_key_of(reply_channel: str) -> str:
    """The key of the session of a reply channel: the one that it had in Channels 1."""
    digest = hashlib.sha1(reply_channel.encode(), usedforsecurity=False).hexdigest()
    return f"chn{digest[:29]}"


class Watched(SessionBase):
    """A session that keeps its key, and knows whether its data are still those that are stored.

    Nobody could be told of a new key: the client of a socket gets no cookies.
    """

    #: The data as they are stored, if that is known.
    _stored: bytes | None = None

    def load(self) -> dict[str, Any]:
        data: dict[str, Any] = super().load()
        self._stored = self._dumped(data)
        return data

    def save(self, must_create: bool = False) -> None:
        super().save(must_create)
        self._is_stored()

    def has_changed(self) -> bool:
        """Whether there is anything to save, be it inside of a list or a dict."""
        if "_session_cache" not in vars(self):
            return False  # nobody has looked at it
        return self.modified or self._dumped(self._data()) != self._stored

    def cycle_key(self) -> None:
        self.modified = True

    async def acycle_key(self) -> None:
        self.cycle_key()

    def _is_stored(self) -> None:
        self._stored = self._dumped(self._data())
        self.modified = False

    def _data(self) -> dict[str, Any]:
        """All of it, which is read if nobody has looked at it yet."""
        data: dict[str, Any] = self._session  # type: ignore[attr-defined]  # unknown to the stubs
        return data

    def _dumped(self, data: dict[str, Any]) -> bytes:
        dumped: bytes = self.serializer().dumps(data)
        return dumped


class OfConnection(Watched):
    """The session of a reply channel, whose key follows from that, whatever happens to it."""

    def __init__(self, reply_channel: str) -> None:
        self._key = session_key_of(reply_channel)
        super().__init__(self._key)
        #: Whether nothing is stored yet, as far as is known.
        self.is_new = False
        #: The connection is over: there is nothing to save any more.
        self.is_over = False

    def load(self) -> dict[str, Any]:
        data = super().load()
        self.is_new = self.session_key is None
        self._session_key = self._key
        return data

    def save(self, must_create: bool = False) -> None:
        super().save(must_create or self.is_new)
        self.is_new = False

    def has_changed(self) -> bool:
        return not self.is_over and super().has_changed()

    def flush(self) -> None:
        self.clear()

    async def aflush(self) -> None:
        self.flush()

    def end(self) -> None:
        """Remove what is stored. Who has the session can read on, and nothing is saved."""
        if not self.is_over:
            self.keys()  # reads it now: it will not be there later
            self.is_over = True
            if not self.is_new:
                self.delete()


class SessionStore(OfConnection):
    """The session of a reply channel on its channel layer, where it ends with the connection.

    What ``SESSION_SERIALIZER`` can carry can be in it. The layer is asked when somebody looks at
    the data, and told when they have changed: that may raise what ``attach`` of the layer raises.
    """

    def __init__(self, reply_channel: str, channel_layer: BaseChannelLayer) -> None:
        super().__init__(reply_channel)
        self._reply_channel = reply_channel
        self._layer = channel_layer

    def load(self) -> dict[str, Any]:
        [content] = self._layer.attached([self._reply_channel], ATTACHED)
        self.is_new = content is None
        data = {} if content is None else self._loaded(content.get("data"))
        self._stored = self._dumped(data)
        return data

    def _loaded(self, stored: Any) -> dict[str, Any]:
        try:
            data = self.serializer().loads(stored)
        except Exception as error:  # whatever a serializer of the project says
            logger.warning("The session of %s cannot be read: %r", self._reply_channel, error)
            return {}
        return data if isinstance(data, dict) else {}

    def save(self, must_create: bool = False) -> None:
        data = self._dumped(self._data())
        if data == self._stored:
            self.modified = False
        elif self._data():
            self._layer.attach(self._reply_channel, ATTACHED, {"data": data})
            self.is_new = False
            self._is_stored()
        else:
            self.delete()
            self._is_stored()

    def create(self) -> None:
        self.save()

    def exists(self, session_key: str) -> bool:
        return self._layer.attached([self._reply_channel], ATTACHED) != [None]

    def delete(self, session_key: str | None = None) -> None:
        self._layer.detach(self._reply_channel, ATTACHED)
        self.is_new = True

    @classmethod
    def clear_expired(cls) -> None:
        """There is nothing to do: the layer forgets closed connections by itself."""


@functools.cache
def watched(store: type[SessionBase], kind: type[Watched]) -> type[Any]:
    """``store``, of an engine of Django's, as a ``kind`` of session."""
    # It keeps its name: Django has that in the salt of what it stores.
    names = {"__module__": store.__module__, "__qualname__": store.__qualname__}
    return type(store.__name__, (kind, store), names)
