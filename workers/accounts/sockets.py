"""What the sockets of signed-in users share."""

from __future__ import annotations

import json
from typing import Any

from channels_classic.message import Message


def tell(message: Message, **content: Any) -> None:
    """Answer the socket of ``message`` in JSON."""
    message.reply_channel.send({"text": json.dumps(content)})


def turn_away(message: Message) -> None:
    """Have the page of somebody who is not signed in say so, and close its socket.

    Not by refusing it: a page cannot tell a refusal from a failure, and would try again.
    """
    tell(message, signed_out=True)
    message.reply_channel.send({"close": True})


def said(message: Message) -> dict[str, Any]:
    """What a page has sent in JSON; nothing, if that is no object."""
    try:
        content = json.loads(message.content.get("text") or "")
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
