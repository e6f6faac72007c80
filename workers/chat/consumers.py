"""What sockets of a room say and hear: JSON, one key that tells what it is about.

Pages send ``{"after": number}``, for the lines that came after (null: the latest ones), and
``{"text": …, "token": …}`` to say something. They hear ``history``, ``line``, ``here``,
``problem``, ``signed_out``, and from presence who has come and gone.
"""

from __future__ import annotations

import json
from typing import Any

from django.contrib.auth import get_user_model

from accounts.sockets import let_in, said, tell, turn_away
from channels_classic import Group
from channels_classic.auth import channel_and_http_session_user_from_http
from channels_classic.exceptions import DenyConnection
from channels_classic.message import Message
from channels_classic.presence import join, leave, users_in
from chat.forms import LineForm
from chat.models import LISTS, Room, refresh_lists


def connect_list(message: Message) -> None:
    """Hear when the list of rooms has changed."""
    message.reply_channel.send({"accept": True})
    Group(LISTS).add(message.reply_channel)


@channel_and_http_session_user_from_http
def connect(message: Message, slug: str) -> None:
    """Join the room, and hear who is there."""
    room = Room.objects.filter(slug=slug).first()
    if room is None:
        raise DenyConnection
    if not let_in(message):
        return
    join(message, room.group.name)
    # Whoever reloads the page, or comes back with all others after a restart, has never left and is
    # not announced: so each connection says itself that its user is here.
    room.group.send({"text": json.dumps({"here": [_person(message.user)]})})
    people = get_user_model().objects.filter(pk__in=users_in(room.group)).order_by("username")
    tell(message, here=[_person(user) for user in people], all=True)
    refresh_lists()


@channel_and_http_session_user_from_http
def receive(message: Message, slug: str) -> None:
    """Send what a page has missed, or store what it says.

    The session is looked at each time, so that who has signed out in another tab says no more.
    """
    if message.user.is_anonymous:
        turn_away(message)
        return
    room = Room.objects.filter(slug=slug).first()
    if room is None:  # it has been deleted
        message.reply_channel.send({"close": True})
        return
    content = said(message)
    if "after" in content:
        _send_history(message, room, content["after"])
    else:
        _say(message, room, content)


def disconnect(message: Message, slug: str) -> None:
    """Leave the room; a crash of browser, network or server ends here, too."""
    leave(message)
    refresh_lists()


def _say(message: Message, room: Room, content: dict[str, Any]) -> None:
    form = LineForm(content)
    if form.is_valid():
        room.say(message.user, **form.cleaned_data)
    else:
        tell(message, problem=form.problem, token=content.get("token"))


def _send_history(message: Message, room: Room, after: Any) -> None:
    lines, upto = room.history(after if isinstance(after, int) else None)
    history = {"lines": [line.state() for line in lines], "upto": upto, "newest": room.newest}
    tell(message, history=history)


def _person(user: Any) -> dict[str, Any]:
    return {"id": user.pk, "name": user.get_username()}
