"""PresenceMixin: consumer classes whose connections are present in groups."""

from __future__ import annotations

import contextlib

import pytest
from django.contrib.auth.models import AnonymousUser

from channels_classic.exceptions import DenyConnection
from channels_classic.generic.websockets import JsonWebsocketConsumer
from channels_classic.message import Message
from channels_classic.presence import PresenceMixin, user_group
from tests.presence.room import ANN, SERVER, Room


class Chat(PresenceMixin, JsonWebsocketConsumer):
    def presence_groups(self, name):
        return [name]


class Refusing(Chat):
    def connect(self, message, **kwargs):
        raise DenyConnection


class Failing(Chat):
    def disconnect(self, message, **kwargs):
        raise RuntimeError("as it was asked to")


def run(room: Room, consumer: type[Chat], event: str, user=ANN) -> None:
    """A message of the one connection to the class; errors go no further."""
    content = {"reply_channel": SERVER + "1", "path": "/room/", "code": 1000}
    message = Message(content, f"websocket.{event}", room.wrapper)
    message.user = user

    def call(message: Message) -> None:
        with contextlib.suppress(RuntimeError, DenyConnection):
            consumer(message, name="room")

    room.run(call, message)


def test_the_user_is_present_from_connect_to_disconnect(room):
    run(room, Chat, "connect")
    assert (room.users, room.notices()) == ({1}, [("join", 1)])
    run(room, Chat, "disconnect")
    room.check()
    assert (room.users, room.notices()) == (set(), [("leave", 1)])


def test_the_socket_is_accepted_before_it_hears_of_anybody(room):
    run(room, Chat, "connect")
    assert room.layer.receive([SERVER]) == (SERVER + "1", {"accept": True})


def test_a_user_of_no_group_can_be_sent_to(room):
    class Silent(PresenceMixin, JsonWebsocketConsumer):
        pass

    message = room.message("1")
    message.channel_name = "websocket.connect"
    message.user = ANN
    room.run(Silent, message)
    assert room.layer.group_channels(user_group(ANN).name) == [SERVER + "1"]
    assert room.notices() == []


def test_an_anonymous_user_is_a_connection_alone(room):
    run(room, Chat, "connect", AnonymousUser())
    assert SERVER + "1" in room.layer.group_channels("room")
    assert (room.users, room.notices()) == (set(), [])


def test_who_is_refused_is_not_present(room):
    run(room, Refusing, "connect")
    room.check()
    assert (room.users, room.notices()) == (set(), [])
    assert SERVER + "1" not in room.layer.group_channels("room")


def test_an_error_in_disconnect_keeps_nobody_present(room):
    run(room, Failing, "connect")
    run(room, Failing, "disconnect")
    room.check()
    assert room.notices() == [("join", 1), ("leave", 1)]


def test_a_class_that_asks_for_no_user_is_told_so(room):
    message = room.message("1")
    message.channel_name = "websocket.connect"
    with pytest.raises(ValueError, match="message.user is not set"):
        Chat(message, name="room")
