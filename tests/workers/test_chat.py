"""The example's chat: rooms, lines with numbers, and who is here; on the memory layer."""

from __future__ import annotations

from importlib import import_module
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User

from channels_classic.test import WSClient


@pytest.fixture
def rooms(site) -> Any:
    return import_module("chat.models").Room.objects


@pytest.fixture
def room(rooms) -> Any:
    return rooms.create(name="Lobby", slug="lobby")


@pytest.fixture
def enter(room) -> Any:
    """Opens a page of the room for a user, who is made if new."""

    def enter(name: str = "", path: str = "/chat/lobby/") -> Visitor:
        return Visitor(name, path)

    return enter


class Visitor:
    """A user with the page of a room: what it hears, by what it is about."""

    def __init__(self, name: str, path: str) -> None:
        self.socket = WSClient()
        self.path = path
        if name:
            self.user, _ = User.objects.get_or_create(username=name)
            self.socket.force_login(self.user)
        self.socket.send_and_consume("websocket.connect", path=path)

    def send(self, content: Any) -> None:
        self.socket.send_and_consume("websocket.receive", text=content, path=self.path)

    def say(self, text: Any, token: str = "") -> None:
        self.send({"text": text, "token": token or uuid4().hex})

    def leave(self) -> None:
        self.socket.send_and_consume("websocket.disconnect", {"code": 1006}, path=self.path)

    def heard(self, about: str = "") -> list[Any]:
        """All it has been told since the last call, or of it what is about one thing."""
        told = list(iter(self.socket.receive, None))
        return [each[about] for each in told if about in each] if about else told

    def history(self, after: Any) -> Any:
        self.heard()
        self.send({"after": after})
        (history,) = self.heard("history")
        return [line["text"] for line in history["lines"]], history["upto"], history["newest"]


# Rooms --------------------------------------------------------------------------------------


@pytest.fixture
def ann(site, client) -> Any:
    user = User.objects.create(username="ann")
    client.force_login(user)
    return client


@pytest.mark.parametrize("path", ["/chat/", "/chat/lobby/"])
def test_who_is_not_signed_in_is_asked_to_and_led_back(client, room, path):
    assert client.get(path)["Location"] == f"/sign-in/?next={path}"


def test_a_room_is_made_by_its_name_and_entered_by_it_later(ann, rooms):
    for name in ["Sören’s Küche", "SÖRENS   KÜCHE!"]:
        assert ann.post("/chat/", {"name": name}).url == "/chat/s%C3%B6rens-k%C3%BCche/"
    assert rooms.get().name == "Sören’s Küche"
    assert "Sören’s Küche" in ann.get("/chat/sörens-küche/").content.decode()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("", "Give the room a name."),
        ("!?", "The name needs a letter or a digit."),
        ("a" * 41, "The name has 41 characters, and may have 40."),
    ],
)
def test_what_is_no_name_of_a_room_is_refused_with_a_reason(ann, rooms, name, text):
    assert text in ann.post("/chat/", {"name": name}).content.decode()
    assert not rooms.exists()


def test_the_address_of_a_room_that_is_not_there_offers_to_make_it(ann, rooms):
    answer = ann.get("/chat/kitchen/")
    assert answer.status_code == 404
    assert 'value="kitchen"' in answer.content.decode()
    assert not rooms.exists()


def test_the_list_says_how_many_users_are_in_each_room(ann, enter):
    for name in ["bob", "bob", "cy"]:
        enter(name)
    assert "2 here" in ann.get("/chat/").content.decode()


def test_pages_with_the_list_are_told_when_it_has_changed(ann, room):
    watcher = WSClient()
    watcher.send_and_consume("websocket.connect", path="/chat/")
    ann.post("/chat/", {"name": "Kitchen"})
    assert watcher.receive(json=False) == "changed"
    visitor = Visitor("bob", "/chat/kitchen/")
    assert watcher.receive(json=False) == "changed"
    visitor.leave()
    assert watcher.receive(json=False) == "changed"
    ann.post("/chat/", {"name": "Kitchen"})
    assert watcher.receive() is None


def test_names_are_shown_as_the_text_they_are(ann, rooms):
    ann.post("/chat/", {"name": "<script>x"})
    for path in ["/chat/", rooms.get().get_absolute_url()]:
        page = ann.get(path).content.decode()
        assert "&lt;script&gt;x" in page
        assert "<script>x" not in page


# Saying -------------------------------------------------------------------------------------


def test_what_is_said_is_stored_and_heard_by_all_in_the_room(enter, room):
    ann, bob = enter("ann"), enter("bob")
    ann.say(" <b>hello</b> ")
    for visitor in (ann, bob):
        (line,) = visitor.heard("line")
        assert (line["text"], line["number"]) == ("<b>hello</b>", 1)
        assert line["author"] == {"id": ann.user.pk, "name": "ann"}
    assert room.lines.get().author == ann.user


def test_other_rooms_do_not_hear_it(enter, rooms):
    rooms.create(name="Kitchen", slug="kitchen")
    cook = enter("cy", "/chat/kitchen/")
    enter("ann").say("hello")
    assert cook.heard("line") == []


def test_what_is_said_twice_with_one_token_is_stored_once(enter, room):
    ann, token = enter("ann"), uuid4().hex
    for _ in range(2):
        ann.say("hello", token)
    assert [line["number"] for line in ann.heard("line")] == [1, 1]
    assert (room.lines.count(), room.history()[1]) == (1, 0)  # as the room was when it was read
    room.refresh_from_db()
    assert room.newest == 1


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("x" * 1001, "This has 1001 characters, and the limit is 1000."),
        ("   ", "Write something first."),
        (None, "Write something first."),
        ("\0", "Null characters are not allowed."),
    ],
)
def test_what_cannot_be_said_is_answered_with_a_reason(enter, room, text, problem):
    ann, bob, token = enter("ann"), enter("bob"), uuid4().hex
    ann.heard()
    ann.say(text, token)
    assert ann.heard() == [{"problem": problem, "token": token}]
    assert bob.heard("line") == []
    assert not room.lines.exists()


def test_a_line_of_the_longest_length_is_said(enter, room):
    enter("ann").say("x" * 1000)
    assert room.lines.count() == 1


@pytest.mark.parametrize("content", ["not JSON", "[1]", "null", "", {"token": "x", "text": "x"}])
def test_what_makes_no_sense_stores_nothing_and_stops_nobody(enter, room, content):
    ann = enter("ann")
    ann.send(content)
    assert not room.lines.exists()
    ann.say("hello")
    assert ann.heard("line")


# History ------------------------------------------------------------------------------------


@pytest.fixture
def said(room, settings) -> Any:
    """Twelve lines; a page gets five at once."""
    settings.CHAT_HISTORY = 5
    author = User.objects.create(username="cy")
    for number in range(1, 13):
        room.say(author, f"line {number}", uuid4())
    return [f"line {number}" for number in range(1, 13)]


def test_a_page_begins_with_the_latest_lines_in_their_order(enter, said):
    assert enter("ann").history(None) == (said[-5:], 12, 12)


def test_a_page_that_was_away_gets_what_it_missed_piece_by_piece(enter, said):
    ann = enter("ann")
    assert ann.history(3) == (said[3:8], 8, 12)
    assert ann.history(8) == (said[8:12], 12, 12)
    assert ann.history(12) == ([], 12, 12)


def test_lines_that_were_deleted_are_not_waited_for(enter, said, room):
    room.lines.filter(number__gt=10).delete()
    assert enter("ann").history(10) == ([], 12, 12)


@pytest.mark.parametrize("after", ["3", 1.5, [], -1, True, 10**30, -(10**30)])
def test_a_number_that_is_none_does_no_harm(enter, said, after):
    assert enter("ann").history(after)[2] == 12


def test_an_empty_room_has_no_history(enter):
    assert enter("ann").history(None) == ([], 0, 0)


# Being there --------------------------------------------------------------------------------


def names(users: list[dict[str, Any]]) -> list[str]:
    return [user["name"] for user in users]


def test_who_enters_hears_who_is_here_and_is_announced(enter):
    ann = enter("ann")
    ann.heard()
    bob = enter("bob")
    assert names(bob.heard("here")[-1]) == ["ann", "bob"]
    joined, here = ann.heard()
    assert (joined["presence"], joined["user"]["name"]) == ("join", "bob")
    assert names(here["here"]) == ["bob"]


def test_a_second_tab_is_not_announced_but_says_that_its_user_is_here(enter):
    ann, _ = enter("ann"), enter("bob")
    ann.heard()
    enter("bob")
    (heard,) = ann.heard()
    assert names(heard["here"]) == ["bob"]


def test_who_is_gone_for_good_is_announced(enter, room, settings):
    settings.CHANNELS_CLASSIC = {"PRESENCE_GRACE": 0}
    ann, bob = enter("ann"), enter("bob")
    ann.heard()
    bob.leave()
    for _ in range(3):  # two who came, one who went
        bob.socket.consume("presence.check")
    (left,) = ann.heard()
    assert (left["presence"], left["user"]["name"]) == ("leave", "bob")


def test_a_socket_for_a_room_that_is_not_there_is_refused(site):
    visitor = WSClient()
    visitor.send("websocket.connect", path="/chat/nowhere/")
    visitor.consume("websocket.connect")
    assert visitor.receive() == {"close": True}


def test_who_is_not_signed_in_is_told_and_closed(enter):
    assert enter().heard() == [{"signed_out": True}]


def test_a_socket_of_a_room_that_was_deleted_is_closed(enter, room):
    ann = enter("ann")
    ann.heard()
    room.delete()
    ann.say("hello")
    assert ann.heard() == [{"close": True}]


def test_who_has_signed_out_in_another_tab_says_no_more(enter, room):
    ann = enter("ann")
    ann.heard()
    ann.socket.session.flush()
    ann.say("hello")
    assert ann.heard() == [{"signed_out": True}]
    assert not room.lines.exists()
