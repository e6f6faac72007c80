"""SSEConsumer: server-sent events, from groups to browsers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

from django.core.exceptions import DisallowedHost, PermissionDenied
from django.http import Http404

from channels_classic import auth, origins
from channels_classic.channel import Group
from channels_classic.exceptions import DenyConnection
from channels_classic.generic.base import BaseConsumer, Handler
from channels_classic.generic.connections import groups_of, reply_channel_of
from channels_classic.generic.multiplexer import as_json
from channels_classic.handler import AsgiRequest
from channels_classic.layers.traffic import Content
from channels_classic.message import Message
from channels_classic.utils import name_that_thing

#: The most that one answer replays, in bytes.
REPLAY = 512 * 1024

_LINE_END = re.compile(r"\r\n|\r|\n")
_BREAK = re.compile(r"[\r\n\0]")


class Event(NamedTuple):
    """One server-sent event. ``data`` that is not text is sent as JSON.

    A browser hands it to the listeners of the name ``event``, else of ``"message"``, and tells the
    ``id`` of the last one it got when it comes back after its connection was lost.
    """

    data: Any
    event: str | None = None
    id: str | int | None = None

    def encode(self) -> bytes:
        """As it is sent. Raises ``ValueError`` for a name or id that cannot be sent."""
        text = self.data if isinstance(self.data, str) else as_json(self.data)
        lines = [f"data: {line}" for line in _LINE_END.split(text)]
        for name, value in (("event", self.event), ("id", self.id)):
            if value is not None:
                lines.append(f"{name}: {_one_line(name, str(value))}")
        return "\n".join([*lines, "", ""]).encode()


def send_event(
    group: str,
    data: Any,
    event: str | None = None,
    id: str | int | None = None,  # noqa: A002 - so it is called
    *,
    immediately: bool = False,
    on_commit: bool | str = False,
) -> None:
    """Send an ``Event`` to each stream of the group ``group``. Raises as ``Group.send``, too."""
    content = _part(Event(data, event, id).encode())
    Group(group).send(content, immediately=immediately, on_commit=on_commit)


async def asend_event(
    group: str,
    data: Any,
    event: str | None = None,
    id: str | int | None = None,  # noqa: A002
    *,
    immediately: bool = False,
) -> None:
    """``send_event`` for async code."""
    await Group(group).asend(_part(Event(data, event, id).encode()), immediately=immediately)


class SSEConsumer(BaseConsumer):
    """Override ``connect`` and ``replay``; each client gets what is sent to its groups.

    No worker is at work on a stream once it is open: it is the interface server that holds it.
    """

    method_mapping: ClassVar[Mapping[str, str]] = {"http.request": "raw_request"}
    _hooks = (*BaseConsumer._hooks, "connection_groups", "connect", "replay")

    #: The groups that each stream joins, unless ``connection_groups`` says otherwise.
    groups: ClassVar[Sequence[str] | None] = None
    #: Whether ``message.user`` and ``message.http_session`` are those of the HTTP session.
    http_user: bool = False
    #: Seconds after which a browser that has lost its stream comes back; None leaves it to it.
    retry: float | None = None
    #: Seconds between comments while there are no events, for proxies and to see who has left.
    heartbeat: float = 15.0
    #: More headers of the answer.
    headers: ClassVar[Mapping[str, str]] = {}

    #: Django's request, for ``GET``, ``COOKIES`` and ``headers``.
    request: AsgiRequest

    def get_handler(self, message: Message, **kwargs: Any) -> Handler:
        """As of every consumer, with the HTTP user if asked for."""
        handler = super().get_handler(message, **kwargs)
        return auth.http_session_user(handler) if self.http_user else handler

    def connection_groups(self, **kwargs: Any) -> Sequence[str]:
        """The groups of this stream, a list or tuple of names: it is in them while it is open."""
        return self.groups or []

    def connect(self, message: Message, **kwargs: Any) -> None:
        """Called first. To refuse, raise ``DenyConnection`` (403) or ``Http404``."""

    def replay(self, last_event_id: str | None, **kwargs: Any) -> Iterable[Event]:
        """What the stream begins with: the events after ``last_event_id``, oldest first.

        That is None for a client that has got no event with an id so far. What comes by groups
        follows; an event that is sent meanwhile may be in both. A long replay is cut: the client
        comes back for the rest of it, so the events must have an ``id``.
        """
        return ()

    # The request ------------------------------------------------------------------------------

    def raw_request(self, message: Message, **kwargs: Any) -> None:
        """Answer with an event stream, or with the status of what is wrong."""
        reply_channel = reply_channel_of(message)
        refused = self._refused(message, kwargs)
        if refused is not None:
            reply_channel.send({**refused, "content": b""})
            return
        for group in groups_of(self, message, kwargs):
            group.add(reply_channel)
        # Only now: what is sent from here on comes by the groups.
        replayed, is_all = self._replayed(message, kwargs)
        start = b"" if self.retry is None else b"retry: %d\n\n" % round(self.retry * 1000)
        reply_channel.send({**self._head(), **_part(start + replayed, more=is_all)})

    def _refused(self, message: Message, kwargs: dict[str, Any]) -> Content | None:
        if message["method"] != "GET":
            return {"status": 405, "headers": [(b"Allow", b"GET")]}
        if message.get("body_channel"):
            return {"status": 413}
        try:
            self.request = AsgiRequest(message)
            self.request.get_host()
        except (DisallowedHost, UnicodeDecodeError):
            return {"status": 400}
        try:
            self.connect(message, **kwargs)
        except (DenyConnection, PermissionDenied):
            return {"status": 403}
        except Http404:
            return {"status": 404}
        return None

    def _head(self) -> Content:
        headers = {
            "Content-Type": "text/event-stream",
            "Cache-Control": "no-cache",
            "X-Accel-Buffering": "no",  # nginx is to pass events on as they come
            **self.headers,
        }
        pairs = [(name.encode("latin-1"), text.encode("latin-1")) for name, text in headers.items()]
        return {"status": 200, "headers": pairs, "heartbeat": self.heartbeat}

    def _replayed(self, message: Message, kwargs: dict[str, Any]) -> tuple[bytes, bool]:
        """The replay as it is sent, and whether that is all of it."""
        value = origins.header(message.content, b"last-event-id")
        last_event_id = value.decode("utf-8", "replace") if value else None
        most = min(REPLAY, reply_channel_of(message).channel_layer.max_message_size // 2)
        replayed = bytearray()
        last: Event | None = None
        for event in self.replay(last_event_id, **kwargs):
            data = event.encode()
            if last is not None and len(replayed) + len(data) > most:
                if last.id is None:
                    raise ValueError(
                        f"{name_that_thing(type(self))}.replay() is longer than {most:,} bytes: "
                        "its events need an id, by which clients come back for the rest"
                    )
                return bytes(replayed), False
            replayed += data
            last = event
        return bytes(replayed), True


def _part(content: bytes, *, more: bool = True) -> Content:
    return {"content": content, "more_content": more}


def _one_line(name: str, value: str) -> str:
    if _BREAK.search(value):
        raise ValueError(f"the {name} of an event is one line without NUL, not {value!r:.80}")
    return value
