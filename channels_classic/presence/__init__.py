"""Presence: who is in which group, with word to all when a user comes or goes.

Add its route, on which a worker looks whether somebody who has left is back::

    channel_routing = [
        include("channels_classic.presence.routing"),
        route("websocket.connect", ws_connect, path=r"^/chat/(?P<room>[a-z]+)/$"),
        route("websocket.disconnect", ws_disconnect),
    ]

Consumers join a group, and leave it or all they have joined::

    @channel_session_user_from_http
    def ws_connect(message, room):
        message.reply_channel.send({"accept": True})
        join(message, f"chat-{room}")

    def ws_disconnect(message):
        leave(message)

Classes say which groups::

    class Chat(PresenceMixin, JsonWebsocketConsumer):
        http_user = True

        def presence_groups(self, room):
            return [f"chat-{room}"]

Every member of the group, the one who joins too, gets a text frame when the first connection of a
user joins, and one when the last has left and none has come within ``PRESENCE_GRACE`` seconds:
``{"presence": "join", "user": {"id": 1, "name": "ann"}, "group": "chat-lobby"}``, or ``"leave"``.
So whoever reloads the page has never been away. And anywhere::

    users_in("chat-lobby")
    send_to_user(order.customer, {"text": "It is on its way."}, on_commit=True)

What is done for a connection takes some round trips to the bus: in an async consumer, write
``await asyncio.to_thread(join, message, group)``. The channel layer must have attachments, as ours
do; when it loses its data, users are unknown until they connect again.
"""

from __future__ import annotations

from channels_classic.presence.connections import join, leave, remember
from channels_classic.presence.mixin import PresenceMixin
from channels_classic.presence.seats import CHECK, check
from channels_classic.presence.users import count_users, send_to_user, user_group, users_in
from channels_classic.routing import route

__all__ = [
    "PresenceMixin",
    "count_users",
    "join",
    "leave",
    "remember",
    "routing",
    "send_to_user",
    "user_group",
    "users_in",
]

#: ``include("channels_classic.presence.routing")``
routing = [route(CHECK, check)]
