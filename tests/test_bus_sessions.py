"""The session of a connection on its channel layer: what it costs, and what it survives."""

from __future__ import annotations

import asyncio
import logging

import pytest

from channels_classic.bus_sessions import ATTACHED, SessionStore, session_key_of
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.layers.redis import RedisChannelLayer

CHANNEL = "server.reply.abc!1"


class Counting:
    """A channel layer that notes what it is asked for."""

    def __init__(self, layer: InMemoryChannelLayer | RedisChannelLayer) -> None:
        self.layer = layer
        self.calls: list[str] = []

    def attach(self, *args):
        self.calls.append("attach")
        self.layer.attach(*args)

    def attached(self, *args):
        self.calls.append("attached")
        return self.layer.attached(*args)

    def detach(self, *args):
        self.calls.append("detach")
        self.layer.detach(*args)


@pytest.fixture
def counting(layer) -> Counting:
    """Each layer in turn."""
    return Counting(layer)


@pytest.fixture
def open_session(counting):
    """``open_session()``: the session of the connection, as the next consumer gets it."""
    return lambda: SessionStore(CHANNEL, counting)


@pytest.fixture
def stored(open_session, counting):
    """A session with something in it, and no calls noted yet."""
    session = open_session()
    session["room"] = {"name": "lobby", "seen": [1]}
    session.save()
    counting.calls.clear()


def data_of(session):
    return dict(session.items())


def test_a_session_is_that_of_its_reply_channel(open_session, counting, stored):
    assert data_of(open_session()) == {"room": {"name": "lobby", "seen": [1]}}
    assert data_of(SessionStore(CHANNEL + "2", counting)) == {}


def test_a_session_that_nobody_looks_at_costs_nothing(open_session, counting, stored):
    session = open_session()
    assert not session.has_changed()
    assert session.session_key == session_key_of(CHANNEL)
    assert counting.calls == []


def test_a_session_is_read_once(open_session, counting, stored):
    session = open_session()
    assert session["room"]["name"] == "lobby"
    assert "other" not in session
    assert not session.has_changed()
    assert counting.calls == ["attached"]


def test_what_has_changed_is_written_once(open_session, counting, stored):
    session = open_session()
    session["other"] = 1
    assert session.has_changed()
    session.save()
    assert not session.has_changed()
    session.save()
    assert counting.calls == ["attached", "attach"]


def test_weakness_8_changes_inside_nested_objects_are_seen(open_session, counting, stored):
    session = open_session()
    session["room"]["seen"].append(2)
    assert not session.modified
    assert session.has_changed()
    session.save()
    assert open_session()["room"]["seen"] == [1, 2]


def test_what_is_set_to_what_it_was_is_not_written(open_session, counting, stored):
    session = open_session()
    session["room"] = {"name": "lobby", "seen": [1]}
    session.save()
    assert counting.calls == ["attached"]


def test_an_empty_session_is_not_written(open_session, counting):
    session = open_session()
    assert session.get("room") is None
    assert not session.has_changed()
    session.save()
    assert counting.calls == ["attached"]


def test_a_session_that_was_emptied_takes_no_room(open_session, counting, stored):
    session = open_session()
    del session["room"]
    session.save()
    assert counting.calls == ["attached", "detach"]
    assert counting.layer.attached([CHANNEL], ATTACHED) == [None]


def test_weakness_9_a_new_key_loses_nothing(open_session, stored):
    session = open_session()
    key = session.session_key
    session.cycle_key()
    session.save()
    assert session.session_key == key
    assert open_session()["room"]["name"] == "lobby"


def test_weakness_9_a_flush_empties_the_session_and_keeps_its_channel(open_session, stored):
    session = open_session()
    session.flush()
    session["room"] = "other"
    session.save()
    assert session.session_key == session_key_of(CHANNEL)
    assert data_of(open_session()) == {"room": "other"}


def test_a_flush_is_saved(open_session, stored):
    session = open_session()
    session.flush()
    assert session.has_changed()
    session.save()
    assert data_of(open_session()) == {}


def test_the_end_removes_what_is_stored_and_not_what_was_read(open_session, counting, stored):
    session = open_session()
    session.end()
    assert counting.layer.attached([CHANNEL], ATTACHED) == [None]
    assert session["room"]["name"] == "lobby"
    session["more"] = 1
    assert not session.has_changed()


def test_the_end_of_a_session_that_has_nothing_stored_removes_nothing(open_session, counting):
    open_session().end()
    assert counting.calls == ["attached"]


def test_it_has_the_verbs_of_other_sessions(open_session, stored):
    session = open_session()
    assert session.exists(session.session_key)
    assert not session.is_empty()
    session.set_expiry(60)
    session.create()
    session.save(must_create=True)
    assert open_session().get_expiry_age() == 60
    session.delete()
    assert not open_session().exists(session.session_key)
    SessionStore.clear_expired()


def test_it_has_the_async_verbs_of_other_sessions(open_session, stored):
    async def check():
        session = open_session()
        assert (await session.aget("room"))["name"] == "lobby"
        await session.acycle_key()
        await session.aset("more", 1)
        await session.asave()
        assert await open_session().aget("more") == 1
        await session.aflush()
        await session.asave()
        assert session.session_key == session_key_of(CHANNEL)
        assert await open_session().aget("more") is None

    asyncio.run(check())


def test_it_holds_what_the_serializer_of_sessions_takes(open_session):
    session = open_session()
    session["ids"] = {1: 2**70}  # the bus itself takes neither such keys nor such numbers
    session.save()
    assert open_session()["ids"] == {"1": 2**70}


def test_what_the_serializer_does_not_take_is_an_error(open_session):
    session = open_session()
    session["thing"] = object()
    with pytest.raises(TypeError):
        session.save()


@pytest.mark.parametrize("content", [{}, {"data": b"{"}, {"data": b"[1]"}, {"data": 3}])
def test_what_is_no_session_is_an_empty_one(open_session, counting, caplog, content):
    counting.layer.attach(CHANNEL, ATTACHED, content)
    session = open_session()
    with caplog.at_level(logging.ERROR):
        assert data_of(session) == {}
    session["room"] = "lobby"
    session.save()
    assert data_of(open_session()) == {"room": "lobby"}


def test_a_session_that_cannot_be_read_is_logged(open_session, counting, caplog):
    counting.layer.attach(CHANNEL, ATTACHED, {"data": b"{"})
    assert data_of(open_session()) == {}
    assert f"The session of {CHANNEL} cannot be read" in caplog.text
