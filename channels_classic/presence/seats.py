"""Seats: a user in a group, and the checks whether they are still there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from channels_classic.channel import Channel, Group
from channels_classic.conf import option
from channels_classic.layers.traffic import Content
from channels_classic.policy import consumer
from channels_classic.presence.users import USER, digest, user_group

if TYPE_CHECKING:
    from channels_classic.asgi import ChannelLayerWrapper
    from channels_classic.message import Message

#: The channel on which a worker is asked to look whether a user is still there.
CHECK = "presence.check"
_STATE = "check"


class Seat:
    """A user in a group; it is taken while one of their connections is there.

    What is attached to the seat is the token of the check that was asked for last, and whether it
    has been made: of several, as of tabs that close together, only the last one counts, once.
    """

    def __init__(self, layer: ChannelLayerWrapper, group: str, user: Content) -> None:
        self._layer = layer
        self._group = Group(group, channel_layer=layer)
        self._user = {"id": user["id"], "name": user["name"]}
        self._name = "presence." + digest(f"{group} {user['id']}")

    def is_taken(self, *, besides: str = "") -> bool:
        """Whether a connection keeps it, but for the one named ``besides``."""
        group = user_group(self._user["id"], channel_layer=self._layer)
        channels = [each for each in self._layer.group_channels(group.name) if each != besides]
        known = self._layer.attached(channels, USER)
        return any(each["groups"].get(self._group.name, {}).get("here") for each in known if each)

    def announce(self, what: str) -> None:
        """Tell the group of the user's ``"join"`` or ``"leave"``."""
        notice = {"presence": what, "user": self._user, "group": self._group.name}
        self._group.send({"text": json.dumps(notice)})

    def awaits(self) -> str | None:
        """The token of the check that is to come."""
        state = self._state()
        return None if state.get("made", True) else str(state["token"])

    def check_later(self, token: str) -> None:
        """Have a worker look after the grace; earlier checks no longer count."""
        self._keep(token, made=False)
        self.ask_again(token)

    def ask_again(self, token: str) -> None:
        """Ask for a check that was asked for, as that may not have been sent."""
        content = {"group": self._group.name, "user": self._user, "token": token}
        Channel(CHECK, channel_layer=self._layer).send(content, delay=option("PRESENCE_GRACE", 5))

    def check(self, token: str, *, is_again: bool) -> None:
        """Announce that the user has left, if so. When ``is_again``, what came of it was lost."""
        state = self._state()
        if state.get("token") != token or (state["made"] and not is_again):
            return
        self._keep(token, made=True)  # before the look: who joins from now on is announced
        if not self.is_taken():
            self.announce("leave")

    def _state(self) -> Content:
        state: Content | None
        [state] = self._layer.attached([self._name], _STATE)
        return state or {}

    def _keep(self, token: str, *, made: bool) -> None:
        self._layer.attach(self._name, _STATE, {"token": token, "made": made})


@consumer
def check(message: Message) -> None:
    """The consumer of ``presence.check``."""
    if message.channel_layer is None:
        raise ValueError(f"{message} came from no channel layer")
    seat = Seat(message.channel_layer, message["group"], message["user"])
    seat.check(message["token"], is_again="__retries__" in message)
