"""Who looks at the start page is shown the site's processes, once a second."""

from __future__ import annotations

import json

from channels_classic import Group
from channels_classic.message import Message
from home import look as looks


def connect(message: Message) -> None:
    """Join the others who look, and see how it is now."""
    Group(looks.GROUP).add(message.reply_channel)
    message.reply_channel.send({"accept": True})
    message.reply_channel.send(_as_text(message))


def look(message: Message) -> None:
    """Show everybody how it is now."""
    Group(looks.GROUP).send(_as_text(message))


def _as_text(message: Message) -> dict[str, str]:
    return {"text": json.dumps(looks.look(message.channel_layer.channel_layer))}
