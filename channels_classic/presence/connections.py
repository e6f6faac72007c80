"""Connections of users: they join groups, leave them, and are remembered as theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from channels_classic.channel import Group
from channels_classic.exceptions import InvalidChannelLayerError
from channels_classic.layers.names import random_letters
from channels_classic.layers.traffic import Content
from channels_classic.presence.seats import CHECK, Seat
from channels_classic.presence.users import USER, identity_of, user_group

if TYPE_CHECKING:
    from channels_classic.asgi import ChannelLayerWrapper
    from channels_classic.message import Message


def remember(message: Message, user: Any = None) -> None:
    """``send_to_user`` reaches the connection of ``message`` from now on, until it is closed.

    ``join`` does so, too. The user is ``message.user`` unless given: for an anonymous one, the
    connection is nobody's. Raises as ``join``.
    """
    Connection(message).belong_to(_identity(message, user))


def join(message: Message, group: str, user: Any = None) -> None:
    """Add the connection of ``message`` to ``group``; announce the user, if not there already.

    The user is ``message.user`` unless given: an anonymous one joins without a word. To join again
    does nothing. Raises ``ValueError`` for a message without a user or a reply channel,
    ``InvalidName``, and ``InvalidChannelLayerError`` for a layer without attachments, delayed
    messages or the route of presence.
    """
    connection = Connection(message)
    identity = _identity(message, user)
    connection.belong_to(identity)
    connection.group(group).add(connection.name)
    if identity is not None:
        connection.sit_down(group)


def leave(message: Message, group: str | None = None) -> None:
    """Take the connection of ``message`` out of ``group``, or out of all that it has joined.

    The user is announced to have left unless another connection of theirs is in the group, or
    comes within the grace. For ``websocket.disconnect``, and for sockets that stay open. To leave
    again does nothing. Raises as ``join``.
    """
    connection = Connection(message)
    for name in connection.groups if group is None else [group]:
        connection.group(name).discard(connection.name)
        connection.stand_up(name)


class Connection:
    """The connection of a message, and what is attached to it.

    Of each group it has joined there is the token of its check, whether it is still ``here``, and
    the ``order`` of the message that said so: a consumer that is run again finds what it did.
    """

    def __init__(self, message: Message) -> None:
        if message.reply_channel is None:
            raise ValueError(f"{message} has no reply channel: presence is for connections")
        self.name = message.reply_channel.name
        self.layer = _able(message.reply_channel.channel_layer)
        self.is_again = "__retries__" in message
        self._order = message.get("order")
        [known] = self.layer.attached([self.name], USER)
        self._known: Content = known or {}

    @property
    def groups(self) -> dict[str, Content]:
        """What is known of the groups that it has joined."""
        groups: dict[str, Content] = self._known.get("groups", {})
        return groups

    def group(self, name: str) -> Group:
        """A group on the layer of this connection."""
        return Group(name, channel_layer=self.layer)

    def belong_to(self, identity: Content | None) -> None:
        """From now on it is a connection of this user, or of nobody."""
        before = self._known.get("id")
        if before == (identity and identity["id"]):
            return
        if before is not None:
            self._part(before)
        if identity is not None:
            self._know({**identity, "groups": {}})
            user_group(identity["id"], channel_layer=self.layer).add(self.name)

    def _part(self, user: Any) -> None:
        user_group(user, channel_layer=self.layer).discard(self.name)
        for group in self.groups:
            self.stand_up(group)
        self.layer.detach(self.name, USER)

    def sit_down(self, group: str) -> None:
        """The user is in the group: by this connection, if by no other."""
        mine = self.groups.get(group, {})
        is_here = mine.get("here", False)
        if is_here and not self.is_again:
            return
        seat = Seat(self.layer, group, self._known)
        is_first = not seat.is_taken(besides=self.name)
        token = mine["token"] if is_here else random_letters(12)
        self._note(group, token, here=True)
        if is_first:
            was_here = seat.awaits() not in (None, token)  # and away for a moment
            seat.check_later(token)  # of a handshake that comes to nothing no consumer is told
            if not was_here and seat.awaits() == token:  # else another tab was first by a hair
                seat.announce("join")

    def stand_up(self, group: str) -> None:
        """The user is in the group no longer, unless by another connection."""
        mine = self.groups.get(group)
        if mine is None:
            return
        seat = Seat(self.layer, group, self._known)
        if mine["here"]:
            token = random_letters(12)
            self._note(group, token, here=False)
            seat.check_later(token)
        elif self.is_again:
            seat.ask_again(mine["token"])

    def _note(self, group: str, token: str, *, here: bool) -> None:
        """Groups that were left by earlier messages are forgotten: those are not run again."""
        note = {"token": token, "here": here, "order": self._order}
        kept = {
            name: each
            for name, each in self.groups.items()
            if each["here"] or each["order"] == self._order
        }
        self._know({**self._known, "groups": {**kept, group: note}})

    def _know(self, known: Content) -> None:
        self._known = known
        self.layer.attach(self.name, USER, known)


def _able(layer: ChannelLayerWrapper) -> ChannelLayerWrapper:
    """``layer``, or ``InvalidChannelLayerError`` for what it lacks."""
    for flag, what in (("attachments", "attachments"), ("later", "delayed messages")):
        if not getattr(layer, flag):
            raise InvalidChannelLayerError(f"presence cannot use {layer}: it has no {what}")
    if CHECK not in layer.router.channels:
        raise InvalidChannelLayerError(
            f"presence needs its route on {layer}: add include('channels_classic.presence.routing')"
        )
    return layer


def _identity(message: Message, user: Any) -> Content | None:
    user = message.user if user is None else user
    if user is None:
        raise ValueError(
            "message.user is not set: decorate the consumer with channel_session_user_from_http, "
            "or with another of channels_classic.auth, or hand over a user"
        )
    return identity_of(user)
