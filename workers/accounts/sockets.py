"""What the sockets of signed-in users share."""

from __future__ import annotations

import contextlib
import hashlib
import json
from typing import Any

from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest

from channels_classic import Group
from channels_classic.exceptions import LayerUnavailable
from channels_classic.message import Message

SIGNED_OUT = {"text": json.dumps({"signed_out": True}), "close": True}


def tell(message: Message, **content: Any) -> None:
    """Answer the socket of ``message`` in JSON."""
    message.reply_channel.send({"text": json.dumps(content)})


def let_in(message: Message) -> bool:
    """Accept the socket; whether its user is signed in. It is closed once they sign out.

    Who is not signed in is told so, and not refused: a page cannot tell a refusal from a failure,
    and would try again.
    """
    message.reply_channel.send({"accept": True})
    if message.user.is_anonymous:
        turn_away(message)
        return False
    _group(message.http_session).add(message.reply_channel)
    return True


def turn_away(message: Message) -> None:
    """Have the page of somebody who is not signed in say so, and close its socket."""
    message.reply_channel.send(SIGNED_OUT)


def sign_out(request: HttpRequest, **signal: Any) -> None:
    """Close the sockets of a session that ends: nobody in its other tabs is to see more."""
    if request.session.session_key is None:
        return
    with contextlib.suppress(LayerUnavailable):  # signing out works without the bus, too
        _group(request.session).send(SIGNED_OUT)


def _group(session: SessionBase) -> Group:
    """The sockets of a session; its key is a secret, and names of groups are not."""
    return Group("accounts." + hashlib.sha256(session.session_key.encode()).hexdigest()[:40])


def said(message: Message) -> dict[str, Any]:
    """What a page has sent in JSON; nothing, if that is no object."""
    try:
        content = json.loads(message.content.get("text") or "")
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
