"""Users, wherever they are: the groups of their connections, and who is in a group."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from channels_classic.channel import Group
from channels_classic.conf import DEFAULT_CHANNEL_LAYER
from channels_classic.exceptions import InvalidName
from channels_classic.layers.names import valid_group_name
from channels_classic.layers.traffic import Content

if TYPE_CHECKING:
    from channels_classic.asgi import ChannelLayerWrapper

#: What is attached to a connection under this key: ``{"id": …, "name": …, "groups": {…}}``.
USER = "user"

Key = int | str


def user_group(
    user: Any, alias: str = DEFAULT_CHANNEL_LAYER, channel_layer: ChannelLayerWrapper | None = None
) -> Group:
    """The group of all connections of ``user``, a model instance or its primary key.

    A connection is in it once it has joined a group or was remembered, until it is closed. Raises
    ``ValueError`` for an anonymous user.
    """
    key = key_of(user)
    if key is None:
        raise ValueError(f"{user!r:.80} has no primary key, and so no group")
    try:
        name = valid_group_name(f"presence.user.{key}")
    except InvalidName:
        name = f"presence.user.{digest(str(key))}"
    return Group(name, alias, channel_layer)


def send_to_user(
    user: Any, content: Content, immediately: bool = False, *, on_commit: bool | str = False
) -> None:
    """``Group.send`` to every connection of ``user``, in all tabs and on all devices."""
    user_group(user).send(content, immediately, on_commit=on_commit)


def users_in(group: Group | str) -> set[Key]:
    """The primary keys of the users with a connection in ``group``; texts, unless they are ints.

    However many there are, that is one question for the members and one for all their users.
    """
    group = group if isinstance(group, Group) else Group(group)
    layer = group.channel_layer
    known = layer.attached(list(layer.group_channels(group.name)), USER)
    return {each["id"] for each in known if each is not None}


def count_users(group: Group | str) -> int:
    """How many users have a connection in ``group``."""
    return len(users_in(group))


def key_of(user: Any) -> Key | None:
    """The primary key of ``user``, as a message can carry it; None for an anonymous user."""
    key = getattr(user, "pk", user)
    return key if key is None or isinstance(key, (int, str)) else str(key)


def identity_of(user: Any) -> Content | None:
    """The primary key and the name of ``user``; None for an anonymous user."""
    key = key_of(user)
    name = str(user.get_username()) if hasattr(user, "get_username") else ""
    return None if key is None else {"id": key, "name": name}


def digest(text: str) -> str:
    """A name for ``text`` in the characters that names may have."""
    return hashlib.sha256(text.encode()).hexdigest()[:40]
