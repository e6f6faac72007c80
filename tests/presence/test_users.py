"""Users: who is in a group, and messages to all connections of one."""

from __future__ import annotations

import uuid

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import transaction
from django.utils.functional import SimpleLazyObject

from channels_classic import outbox
from channels_classic.asgi import ChannelLayerWrapper, channel_layers
from channels_classic.channel import Group
from channels_classic.exceptions import InvalidChannelLayerError, InvalidName
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.layers.names import valid_group_name
from channels_classic.presence import (
    count_users,
    join,
    remember,
    send_to_user,
    user_group,
    users_in,
)
from channels_classic.routing import Router, include
from tests.presence.room import ANN, BOB, SERVER, Room
from tests.test.classic_layer import ClassicLayer


@pytest.fixture
def default(settings, monkeypatch) -> Room:
    """A room on the layer that messages to users go by."""
    settings.CHANNELS_CLASSIC = {"PRESENCE_GRACE": 0}
    room = Room(InMemoryChannelLayer())
    monkeypatch.setitem(channel_layers.backends, "default", room.wrapper)
    return room


# Who is there -----------------------------------------------------------------------------


def test_users_are_counted_and_not_their_connections(room):
    room.join("1", ANN)
    room.join("2", ANN)
    room.join("3", BOB)
    assert room.users == {1, 2}
    assert count_users(room.group) == 2
    assert room.layer.group_count("room") == 4  # and who watches


def test_who_is_anonymous_is_a_connection_and_no_user(room):
    room.join("1", AnonymousUser())
    assert room.users == set()
    assert room.layer.group_count("room") == 2


def test_who_has_left_is_not_there_though_the_grace_is_not_over(slow_room):
    slow_room.join("1", ANN)
    slow_room.leave("1")
    assert slow_room.users == set()


def test_in_a_group_that_nobody_joined_there_is_nobody(room):
    assert users_in(Group("nobody", channel_layer=room.wrapper)) == set()


def test_a_group_may_be_named(default):
    default.join("1", ANN)
    assert users_in("room") == {1}
    assert count_users("room") == 1


class Counted(InMemoryChannelLayer):
    """Says how often it was asked."""

    questions = 0

    def group_channels(self, group):
        self.questions += 1
        return super().group_channels(group)

    def attached(self, channels, key):
        self.questions += 1
        return super().attached(channels, key)


def test_however_many_are_there_it_takes_two_questions():
    room = Room(Counted(capacity=1000))
    for number in range(50):
        room.join(str(number), number)
    room.layer.questions = 0
    assert room.users == set(range(50))
    assert room.layer.questions == 2


def test_to_join_a_large_group_costs_no_more_than_a_small_one():
    costs = set()
    room = Room(Counted(capacity=1000))
    for number in range(50):
        room.layer.questions = 0
        room.join(str(number), number)
        costs.add(room.layer.questions)
    assert len(costs) == 1


# Who they are -----------------------------------------------------------------------------


def test_the_user_of_the_message_is_the_one_who_joins(room):
    message = room.message("1")
    message.user = SimpleLazyObject(lambda: ANN)
    room.run(lambda message: join(message, "room"), message)
    assert room.users == {1}
    [known] = room.layer.attached([SERVER + "1"], "user")
    assert (known["id"], known["name"]) == (1, "ann")


def test_a_user_may_be_given_by_the_primary_key(room):
    room.join("1", 5)
    assert room.users == {5}
    assert room.notices() == [("join", 5)]


@pytest.mark.parametrize("key", [uuid.UUID(int=5), "ann@example.com", "x" * 200])
def test_any_primary_key_makes_a_group(room, key):
    room.join("1", key)
    assert room.users == {str(key)}
    assert valid_group_name(user_group(key).name)
    user_group(key, channel_layer=room.wrapper).send({"text": "hi"})
    channels = [room.layer.receive([SERVER]) for _ in range(2)]
    assert (SERVER + "1", {"text": "hi"}) in channels


def test_different_users_have_different_groups():
    keys = [1, 2, "a b", "a-b", "a!b", uuid.UUID(int=1)]
    assert len({user_group(key).name for key in keys}) == len(keys)


def test_the_anonymous_user_has_no_group():
    with pytest.raises(ValueError, match="no primary key"):
        user_group(AnonymousUser())


# Messages to them -------------------------------------------------------------------------


def frames(room: Room) -> list[tuple[str, str]]:
    """What has come for each connection."""
    found = []
    while (pair := room.layer.receive([SERVER]))[0] is not None:
        found.append((pair[0].removeprefix(SERVER), pair[1]["text"]))
    return sorted(found)


def test_a_message_to_a_user_reaches_every_tab_and_nobody_else(default):
    default.join("1", ANN)
    default.join("2", ANN, "elsewhere")
    default.join("3", BOB)
    frames(default)
    send_to_user(ANN, {"text": "hi"})
    assert frames(default) == [("1", "hi"), ("2", "hi")]


def test_a_connection_that_joins_no_group_can_be_remembered(default):
    default.run(lambda message: remember(message, ANN), default.message("1"))
    send_to_user(1, {"text": "hi"})
    assert frames(default) == [("1", "hi")]
    assert default.notices() == []


def test_nobody_need_be_there(default):
    send_to_user(BOB, {"text": "hi"})
    assert frames(default) == []


def test_a_message_to_a_user_waits_for_the_end_of_the_consumer(default):
    default.run(lambda message: remember(message, ANN), default.message("1"))
    with outbox.holding() as box:
        send_to_user(ANN, {"text": "later"})
        send_to_user(ANN, {"text": "now"}, immediately=True)
        assert frames(default) == [("1", "now")]
    box.flush()
    assert frames(default) == [("1", "later")]


@pytest.mark.django_db(transaction=True)
def test_a_message_to_a_user_may_wait_for_the_commit(default):
    default.run(lambda message: remember(message, ANN), default.message("1"))
    with transaction.atomic():
        send_to_user(ANN, {"text": "hi"}, on_commit=True)
        assert frames(default) == []
    assert frames(default) == [("1", "hi")]


def test_who_logs_out_gets_no_more_of_the_users_messages(default):
    default.join("1", ANN)
    default.join("1", AnonymousUser())
    frames(default)
    send_to_user(ANN, {"text": "secret"})
    assert frames(default) == []


# What it needs ----------------------------------------------------------------------------


def test_the_route_can_be_included_by_its_path():
    assert Router([include("channels_classic.presence.routing")]).channels == {"presence.check"}


def test_a_layer_without_attachments_is_refused():
    room = Room(ClassicLayer())
    with pytest.raises(InvalidChannelLayerError, match="ClassicLayer.*it has no attachments"):
        room.join("1", ANN)


def test_a_layer_without_delayed_messages_is_refused():
    class Layer(ClassicLayer):
        attachments = True

    with pytest.raises(InvalidChannelLayerError, match="it has no delayed messages"):
        Room(Layer()).join("1", ANN)


def test_a_project_without_the_route_is_told_to_include_it():
    room = Room(InMemoryChannelLayer())
    room.wrapper = ChannelLayerWrapper(room.layer, "default", [])
    with pytest.raises(InvalidChannelLayerError, match="include\\('channels_classic.presence"):
        room.join("1", ANN)


def test_a_bad_name_of_a_group_is_told(room):
    with pytest.raises(InvalidName):
        room.join("1", ANN, "not fine")
    assert room.check() == 0
