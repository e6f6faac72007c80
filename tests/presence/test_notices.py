"""Notices: who comes and who goes is announced once, and who reloads the page is not."""

from __future__ import annotations

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth.models import AnonymousUser

from channels_classic.exceptions import ConsumeLater
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.presence import join, leave
from tests.presence.room import ANN, BOB, SERVER, Room

# Coming and going -------------------------------------------------------------------------


def test_a_notice_says_who_has_joined_what(room):
    room.join("1", ANN)
    _, content = room.layer.receive(["watch"])
    notice = {"presence": "join", "user": {"id": 1, "name": "ann"}, "group": "room"}
    assert json.loads(content.pop("text")) == notice
    assert content == {}


def test_the_one_who_joins_gets_the_notice_too(room):
    room.join("1", ANN)
    channel, content = room.layer.receive([SERVER])
    assert channel == SERVER + "1"
    assert json.loads(content["text"])["presence"] == "join"


def test_each_user_is_announced(room):
    room.join("1", ANN)
    room.join("2", BOB)
    room.leave("1")
    room.check()
    assert room.notices() == [("join", 1), ("join", 2), ("leave", 1)]


def test_a_second_tab_is_not_announced(room):
    room.join("1", ANN)
    room.join("2", ANN)
    assert room.notices() == [("join", 1)]


class InStep(InMemoryChannelLayer):
    """Two threads that do the same do it in step."""

    def __init__(self, **options):
        super().__init__(**options)
        self.step = threading.Barrier(2)

    def attached(self, channels, key):
        found = super().attached(channels, key)
        self.step.wait(10)
        return found

    def attach(self, channel, key, content):
        super().attach(channel, key, content)
        self.step.wait(10)


def test_two_tabs_that_open_in_the_same_instant_are_announced_once():
    room = Room(InStep())
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda local: room.join(local, ANN), "12"))
    assert room.notices() == [("join", 1)]


def test_the_leave_is_announced_after_the_last_tab(room):
    room.join("1", ANN)
    room.join("2", ANN)
    room.leave("1")
    room.check()
    assert room.notices() == [("join", 1)]
    room.leave("2")
    room.check()
    assert room.notices() == [("leave", 1)]


def test_of_tabs_that_close_together_one_leave_is_announced(room):
    for local in "123":
        room.join(local, ANN)
    room.check()
    room.notices()
    for local in "123":
        room.leave(local)
    assert room.check() == 3
    assert room.notices() == [("leave", 1)]


def test_who_comes_back_later_is_announced_again(room):
    for local in "123":
        room.join(local, ANN)
        room.leave(local)
        room.check()
    assert room.notices() == [("join", 1), ("leave", 1)] * 3


def test_groups_know_nothing_of_each_other(room):
    room.join("1", ANN, "elsewhere")
    room.join("2", ANN)
    assert room.notices() == [("join", 1)]
    room.leave("2")
    room.check()
    assert room.notices() == [("leave", 1)]


def test_who_leaves_all_groups_leaves_each(room):
    room.layer.group_add("elsewhere", "watch")
    for group in ("room", "elsewhere"):
        room.join("1", ANN, group)
    room.notices()
    room.leave("1")
    room.check()
    assert room.notices() == [("leave", 1)] * 2


def test_one_group_of_an_open_socket_can_be_left_and_joined_again(room):
    room.join("1", ANN)
    room.leave("1", "room")
    room.check()
    room.join("1", ANN)
    assert room.notices() == [("join", 1), ("leave", 1), ("join", 1)]


def test_who_is_anonymous_comes_and_goes_without_a_word(room):
    room.join("1", AnonymousUser())
    assert SERVER + "1" in room.layer.group_channels("room")
    room.leave("1", "room")
    assert SERVER + "1" not in room.layer.group_channels("room")
    assert room.check() == 0
    assert room.notices() == []


def test_to_leave_what_was_not_joined_does_nothing(room):
    room.leave("1", "room")
    room.leave("1")
    assert (room.check(), room.notices()) == (0, [])


def test_to_join_and_to_leave_twice_is_to_do_it_once(room):
    room.join("1", ANN)
    room.join("1", ANN)
    room.check()
    room.leave("1", "room")
    room.leave("1", "room")
    room.check()
    assert room.notices() == [("join", 1), ("leave", 1)]


def test_a_socket_that_gets_another_user_is_the_others(room):
    room.join("1", ANN)
    room.join("1", BOB)
    room.check()
    assert room.notices() == [("join", 1), ("join", 2), ("leave", 1)]
    assert room.users == {2}


def test_a_socket_whose_user_logs_out_is_nobodys(room):
    room.join("1", ANN)
    room.join("1", AnonymousUser())
    room.check()
    assert room.notices() == [("join", 1), ("leave", 1)]
    assert room.users == set()


def test_in_an_async_consumer_a_thread_does_it(room):
    async def consumer(message):
        await asyncio.to_thread(join, message, "room", ANN)
        assert room.notices() == []  # it goes with what the consumer sends

    room.run(lambda message: asyncio.run(consumer(message)), room.message("1"))
    assert room.notices() == [("join", 1)]


# The grace --------------------------------------------------------------------------------


def test_a_leave_is_announced_after_the_grace(slow_room, clock):
    slow_room.join("1", ANN)
    clock.now += 60
    slow_room.check()
    slow_room.leave("1")
    clock.now += 4.9
    assert (slow_room.check(), slow_room.notices()) == (0, [("join", 1)])
    clock.now += 0.2
    assert (slow_room.check(), slow_room.notices()) == (1, [("leave", 1)])


def test_who_reloads_the_page_has_never_been_away(slow_room, clock):
    slow_room.join("1", ANN)
    for local in range(2, 6):
        clock.now += 3
        slow_room.check()
        slow_room.leave(str(local - 1))
        clock.now += 1
        slow_room.join(str(local), ANN)
    clock.now += 60
    slow_room.check()
    assert slow_room.notices() == [("join", 1)]
    slow_room.leave("5")
    clock.now += 6
    slow_room.check()
    assert slow_room.notices() == [("leave", 1)]


def test_the_grace_begins_anew_with_each_tab_that_closes(slow_room, clock):
    slow_room.join("1", ANN)
    slow_room.join("2", ANN)
    slow_room.leave("1")
    clock.now += 4
    slow_room.leave("2")
    clock.now += 4
    slow_room.check()
    assert slow_room.notices() == [("join", 1)]
    clock.now += 2
    slow_room.check()
    assert slow_room.notices() == [("leave", 1)]


def test_whose_handshake_comes_to_nothing_has_left_after_the_grace(clock):
    """No consumer hears of its end, as its socket was never open."""
    layer = InMemoryChannelLayer(clock=clock, expiry=None)
    room = Room(layer)
    still_open = {"1"}
    inbox = layer.inbox(SERVER, still_open.__contains__)
    room.join("1", ANN)
    still_open.clear()
    inbox.forget("1")
    clock.now += 6
    room.check()
    assert room.notices() == [("join", 1), ("leave", 1)]


def test_a_server_that_died_and_is_not_noticed_yet_keeps_nobody_from_coming_back(clock):
    """Its sockets are still members while the user's new one joins."""
    room = Room(InMemoryChannelLayer(clock=clock, expiry=None))
    room.join("1", ANN)
    room.join("2", ANN)
    clock.now += 20
    room.check()
    room.leave("1", code=1006)
    clock.now += 10
    room.check()
    assert room.notices() == [("join", 1)]


# Messages that are tried again ------------------------------------------------------------


def test_a_join_that_is_run_again_is_announced_once(room):
    def consumer(message):
        join(message, "room", ANN)
        if "__retries__" not in message:
            raise ConsumeLater

    room.run(consumer, room.message("1"))
    assert room.notices() == []
    room.run(consumer, room.message("1", __retries__=1))
    room.check()
    assert room.notices() == [("join", 1)]


def test_a_leave_that_is_run_again_is_announced_once(room):
    def consumer(message):
        leave(message)
        if "__retries__" not in message:
            raise ConsumeLater

    room.join("1", ANN)
    room.check()
    room.run(consumer, room.message("1"))
    assert (room.check(), room.notices()) == (0, [("join", 1)])
    room.run(consumer, room.message("1", __retries__=1))
    assert (room.check(), room.notices()) == (1, [("leave", 1)])


def test_a_leave_whose_check_was_made_is_not_announced_by_another_run(room):
    room.join("1", ANN)
    room.leave("1")
    room.check()
    room.leave("1", __retries__=1)
    assert room.check() == 1
    assert room.notices() == [("join", 1), ("leave", 1)]


def test_a_leave_that_is_run_again_once_the_user_is_back_takes_nobody_away(room):
    room.join("1", ANN)
    room.leave("1")
    room.check()
    room.join("2", ANN)
    room.leave("1", __retries__=1)
    room.check()
    assert room.notices() == [("join", 1), ("leave", 1), ("join", 1)]


def test_a_check_whose_answer_was_lost_is_made_again(room):
    room.join("1", ANN)
    room.check()
    room.leave("1")
    _, asked = room.layer.receive(["presence.check"])
    room.wrapper.send("presence.check", asked)
    room.check()
    assert room.notices() == [("join", 1), ("leave", 1)]
    room.wrapper.send("presence.check", asked)  # as if its worker had died before it could send
    room.check(__retries__=1)
    assert room.notices() == [("leave", 1)]


def test_the_same_check_again_is_not_announced_again(room):
    room.join("1", ANN)
    room.leave("1")
    _, _ = room.layer.receive(["presence.check"])
    _, asked = room.layer.receive(["presence.check"])
    for _ in range(3):
        room.wrapper.send("presence.check", asked)
    assert room.check() == 3
    assert room.notices() == [("join", 1), ("leave", 1)]


# What is kept -----------------------------------------------------------------------------


def test_groups_that_were_left_are_forgotten(room):
    for number in range(5):
        room.join("1", ANN, f"room-{number}", order=number)
        room.leave("1", f"room-{number}", order=number)
    [known] = room.layer.attached([SERVER + "1"], "user")
    assert list(known["groups"]) == ["room-4"]


# What is wrong ----------------------------------------------------------------------------


def test_a_message_without_a_user_is_told_the_decorator(room):
    with pytest.raises(ValueError, match="channel_session_user_from_http"):
        room.join("1", None)


def test_a_message_without_a_reply_channel_is_of_no_connection(room):
    message = room.message("1")
    del message.content["reply_channel"]
    for call in (lambda: join(message, "room", ANN), lambda: leave(message)):
        with pytest.raises(ValueError, match="has no reply channel"):
            call()
