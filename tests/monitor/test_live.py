"""The socket of the page: who is let in, what it is told, and when it is closed."""

from __future__ import annotations

import importlib
import json
import logging
import threading
import time

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.test import override_settings

from channels_classic.asgi import ChannelLayerWrapper
from channels_classic.exceptions import LayerUnavailable
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.monitor import viewers
from channels_classic.monitor.access import may_still_look
from channels_classic.monitor.lead import Lead
from channels_classic.monitor.limits import Limits
from channels_classic.monitor.looker import WINDOW, Looker
from channels_classic.monitor.lookers import looker_of
from channels_classic.monitor.pusher import Pusher, Turn
from channels_classic.test import WSClient
from tests.monitor.conftest import bury
from tests.monitor.snapshots import channel, snapshot

PATH = "/monitor/live/"


def connected(user):
    client = WSClient()
    client.force_login(user)
    client.send_and_consume("websocket.connect", path=PATH)
    return client


def members(wrapper):
    return list(wrapper.channel_layer.group_channels(viewers.GROUP))


def answers(client):
    found = []
    while (content := client.receive(json=False)) is not None:
        found.append(json.loads(content) if isinstance(content, str) else content)
    return found


def answer(client, key):
    """The only one there is, under its key."""
    [found] = answers(client)
    return found[key]


def ask(client, question):
    client.send_and_consume("websocket.receive", text=question, path=PATH)


# Who is let in --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["boss", "clerk"])
def test_the_staff_is_let_in_and_told_all_at_once(people, wrapper, name):
    client = connected(people[name])
    [first] = answers(client)
    assert set(first) == {"frame", "history"}
    assert members(wrapper) == [client.reply_channel]


@pytest.mark.parametrize("name", ["guest", "gone", None])
def test_others_are_refused_and_told_nothing(people, wrapper, name):
    client = WSClient()
    if name:
        client.force_login(people[name])
    client.send_and_consume("websocket.connect", path=PATH, check_accept=False)
    assert answers(client) == [{"accept": False}] or answers(client) == []
    assert members(wrapper) == []


def test_a_page_of_another_site_is_refused(people, wrapper):
    client = WSClient()
    client.force_login(people["boss"])
    client.set_header("origin", "https://evil.example")
    client.send_and_consume("websocket.connect", path=PATH, check_accept=False)
    assert members(wrapper) == []


def test_while_the_bus_says_nothing_of_itself_it_says_why(people, wrapper, monkeypatch):
    def away(*arguments):
        raise LayerUnavailable("no Redis")

    monkeypatch.setattr(wrapper.channel_layer.ledger, "census", away)
    assert answers(connected(people["boss"])) == [{"problem": "no Redis"}]


# Questions --------------------------------------------------------------------------------------


def test_a_search_finds_what_is_beyond_the_frame(people, wrapper, settings):
    settings.CHANNELS_CLASSIC = {"MONITOR": {"channels": 2, "dead": 1}}
    for number in range(30):
        wrapper.channel_layer.send(f"tasks.number{number}", {})
    bury(wrapper, "mail", 3), bury(wrapper, "thumbnails", 3)
    client = connected(people["clerk"])
    [first] = answers(client)
    assert (len(first["frame"]["channels"]), first["frame"]["channels_total"]) == (2, 35)
    ask(client, {"find": "NUMBER7"})
    found = answer(client, "find")
    assert [row["name"] for row in found["channels"]] == ["tasks.number7"]
    ask(client, {"find": "thumb"})
    found = answer(client, "find")
    assert (len(found["letters"]), found["letters_total"], found["text"]) == (1, 3, "thumb")


def test_a_letter_is_shown_in_full(people, wrapper):
    bury(wrapper)
    client = connected(people["clerk"])
    answers(client)
    ask(client, {"letter": "1"})
    letter = answer(client, "letter")
    assert (letter["content"], letter["traceback"]) == ("{'photo': 0}", "Traceback…")
    ask(client, {"letter": "77"})
    assert answers(client) == [{"letter": {"id": "77", "gone": True}}]


@pytest.mark.parametrize(
    "question", [[], 5, '"find"', {"find": 5}, {"letter": None}, {"drop": "it"}]
)
def test_a_question_that_makes_no_sense_is_not_answered(people, wrapper, question):
    client = connected(people["clerk"])
    answers(client)
    ask(client, question)
    assert answers(client) == []


def test_who_has_left_the_staff_is_not_answered_but_closed(people, wrapper):
    client = connected(people["clerk"])
    answers(client)
    User.objects.filter(username="clerk").update(is_staff=False)
    ask(client, {"find": "a"})
    assert answers(client) == [{"close": viewers.NOT_ALLOWED}]


# The turns of the worker that leads --------------------------------------------------------------


class Time:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Time()


@pytest.fixture
def turn(wrapper, clock):
    looker = Looker(wrapper, Limits(check=2), clock=clock)
    return Turn(looker, clock=clock, lead=Lead(wrapper.channel_layer.ledger.claim, clock=clock))


def test_a_frame_is_sent_while_somebody_looks(people, wrapper, turn):
    client = connected(people["clerk"])
    answers(client)
    turn.take()
    [message] = answers(client)
    assert set(message) == {"frame"}
    assert message["frame"]["groups_total"] == 1


def test_while_nobody_looks_there_are_samples_alone(wrapper, turn, clock):
    looks = []
    turn._looker._take = lambda *arguments: looks.append(1) or snapshot(channel("a", sent=3))
    for _ in range(20):
        turn.take()
        clock.now += 1
    assert len(looks) == 4
    recorded = wrapper.channel_layer.ledger.recorded(100)
    assert [content["sent"] for _, content in recorded] == [3, 3, 3, 3]


def test_there_are_samples_while_it_is_not_known_whether_somebody_looks(wrapper, turn, monkeypatch):
    def away(group):
        raise LayerUnavailable("a part of the bus is away")

    monkeypatch.setattr(wrapper.channel_layer, "group_count", away)
    turn.take()
    assert len(wrapper.channel_layer.ledger.recorded(100)) == 1


def test_the_history_is_bounded(wrapper, clock):
    looker = Looker(wrapper, Limits(history=10, sample=1), clock=clock)
    turn = Turn(looker, clock=clock, lead=Lead(wrapper.channel_layer.ledger.claim, clock=clock))
    for _ in range(30):
        turn.take()
        clock.now += 1
    assert len(wrapper.channel_layer.ledger.recorded(100)) == 10


def test_one_of_several_workers_sends(people, wrapper, clock):
    client = connected(people["clerk"])
    answers(client)
    claim = wrapper.channel_layer.ledger.claim
    looker = looker_of(wrapper)
    turns = [Turn(looker, clock=clock, lead=Lead(claim, clock=clock)) for _ in range(3)]
    for each in turns:
        each.take()
    assert len(answers(client)) == 1


def test_who_has_left_the_staff_is_dismissed(people, wrapper, turn, clock):
    stays, goes = connected(people["boss"]), connected(people["clerk"])
    turn.take()
    User.objects.filter(username="clerk").update(is_staff=False)
    clock.now += 5
    answers(goes)
    turn.take()
    assert answers(goes) == [{"close": viewers.NOT_ALLOWED}]
    assert members(wrapper) == [stays.reply_channel]


def test_who_has_logged_out_is_dismissed(people, wrapper, turn):
    client = connected(people["clerk"])
    answers(client)
    client.session.flush()
    turn.take()
    assert answers(client) == [{"close": viewers.NOT_ALLOWED}]


def test_one_whose_session_cannot_be_read_comes_again_and_others_are_still_checked(
    people, wrapper, turn, monkeypatch, caplog
):
    broken, stays, goes = (connected(people[name]) for name in ("keeper", "boss", "clerk"))
    unreadable = broken.session.session_key

    def check(key):
        if key == unreadable:
            raise OSError("no sessions")
        return may_still_look(key)

    monkeypatch.setattr(viewers, "may_still_look", check)
    goes.session.flush()
    for client in (broken, stays, goes):
        answers(client)
    with caplog.at_level(logging.ERROR, "channels_classic.monitor"):
        turn.take()
    assert answers(broken) == [{"close": viewers.AGAIN}]
    assert answers(goes) == [{"close": viewers.NOT_ALLOWED}]
    assert [set(each) for each in answers(stays)] == [{"frame"}]
    assert "Cannot tell who may still look" in caplog.text


def test_those_who_take_nothing_any_more_are_dismissed(people, wrapper, turn, monkeypatch):
    full = [connected(people["keeper"]), connected(people["boss"])]
    for client in full:
        client.session.flush()
    deliver = wrapper.channel_layer.deliver
    monkeypatch.setattr(
        wrapper.channel_layer,
        "deliver",
        lambda envelopes: deliver(envelopes) if envelopes[0].to_group else envelopes,
    )
    turn.take()
    assert members(wrapper) == []


def test_a_socket_that_nobody_knows_is_to_come_again(people, wrapper, turn):
    """As after the bus has lost its data: the page connects again, and is asked who it is."""
    client = connected(people["clerk"])
    answers(client)
    wrapper.channel_layer.detach(client.reply_channel, viewers.KEY)
    turn.take()
    assert answers(client) == [{"close": viewers.AGAIN}]
    assert members(wrapper) == []


def test_a_new_password_ends_the_look_and_the_session_is_not_touched(people, wrapper):
    client = connected(people["clerk"])
    key = client.session.session_key
    assert may_still_look(key)
    people["clerk"].set_password("another")
    people["clerk"].save()
    assert not may_still_look(key)
    store = importlib.import_module(django_settings.SESSION_ENGINE).SessionStore(key)
    assert store.get("_auth_user_id") == str(people["clerk"].pk)


def test_a_session_by_an_older_secret_key_is_good_and_not_renewed(people, wrapper):
    key = connected(people["clerk"]).session.session_key
    old = django_settings.SECRET_KEY
    with override_settings(SECRET_KEY="a new one", SECRET_KEY_FALLBACKS=[old]):
        assert may_still_look(key)
    store = importlib.import_module(django_settings.SESSION_ENGINE).SessionStore
    assert store().exists(key)


@pytest.mark.parametrize("key", [None, "", "x" * 32])
def test_nobody_looks_without_a_session(db, key):
    assert not may_still_look(key)


# What a looker remembers --------------------------------------------------------------------------


def test_rates_are_those_of_the_last_seconds(wrapper, clock):
    sent = [0]

    def take(layer, channels):
        return snapshot(channel("a", sent=sent[0]), at=clock.now)

    looker = Looker(wrapper, Limits(), take=take, clock=clock)
    found = []
    for number in range(30):
        sent[0] += 10 if number < 15 else 0
        found.append(looker.frame(looker.look())["total"]["in"])
        clock.now += 1
    assert found[0] is None
    assert found[10] == 10
    assert found[-1] == 0
    assert len(looker._seen) <= WINDOW + 2


def test_what_was_seen_long_ago_is_no_measure(wrapper, clock):
    looker = Looker(wrapper, Limits(), clock=clock)
    looker.look()
    clock.now += 100
    assert looker.frame(looker.look())["total"]["in"] is None


def test_dead_letters_are_read_when_there_are_others_and_now_and_then(wrapper, clock, monkeypatch):
    bury(wrapper)
    ledger = wrapper.channel_layer.ledger
    reads = []
    original = ledger.newest_dead
    monkeypatch.setattr(ledger, "newest_dead", lambda *a: reads.append(1) or original(*a))
    looker = Looker(wrapper, Limits(), clock=clock)

    def look():
        clock.now += 1
        return len(looker.frame(looker.look())["letters"])

    assert [look() for _ in range(5)] == [1] * 5
    assert len(reads) == 1
    bury(wrapper)
    assert (look(), len(reads)) == (2, 2)
    clock.now += 60
    assert (look(), len(reads)) == (2, 3)


def test_the_messages_that_are_due_next_come_first(wrapper, clock):
    layer = wrapper.channel_layer
    for name, delay in (("b", 50), ("a", 300), ("a", 100), ("c", 9000)):
        layer.deliver([layer.prepare(name, {}, delay=delay)])
    looker = Looker(wrapper, Limits(delayed=3), clock=clock)
    found = looker.frame(looker.look())
    assert [row["channel"] for row in found["delayed"]] == ["b", "a", "a"]
    assert found["delayed_total"] == 4
    assert 40 < found["delayed"][0]["due_in"] <= 50


# The beat -----------------------------------------------------------------------------------------


def wait_for(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "not within 20 s"
        time.sleep(0.01)


class Lookers:
    """Gives what the test wants to happen when a worker has beaten."""

    def __init__(self, looker):
        self.looker = looker

    def of(self, layer):
        return self.looker


def test_a_beat_is_never_late_by_it_and_the_turn_is_taken_on_another_thread(wrapper):
    hold, taken = threading.Event(), []

    def slow(*arguments):
        taken.append(threading.current_thread())
        hold.wait(20)
        return snapshot()

    pusher = Pusher(Lookers(Looker(wrapper, Limits(), take=slow)))
    began = time.monotonic()
    for _ in range(100):
        pusher.on_beat(layer=wrapper)
    assert time.monotonic() - began < 1
    wait_for(lambda: taken)
    hold.set()
    assert taken == [pusher._thread]
    assert taken[0] is not threading.current_thread()
    wait_for(lambda: wrapper.channel_layer.ledger.recorded(5))


def test_a_mistake_does_not_end_it(wrapper, caplog):
    tries = []

    def broken(*arguments):
        tries.append(1)
        if len(tries) == 1:
            raise ZeroDivisionError("a mistake")
        if len(tries) == 2:
            raise LayerUnavailable
        return snapshot()

    pusher = Pusher(Lookers(Looker(wrapper, Limits(sample=0.1), take=broken)))
    with caplog.at_level(logging.ERROR, "channels_classic.monitor"):
        for number in (1, 2, 3):
            pusher.on_beat(layer=wrapper)
            wait_for(lambda number=number: len(tries) >= number)
    wait_for(lambda: wrapper.channel_layer.ledger.recorded(5))
    assert [each.getMessage() for each in caplog.records] == [
        "Error in the monitor: ZeroDivisionError('a mistake')"
    ]


def test_the_beats_of_other_layers_are_none_of_its_business(wrapper):
    pusher = Pusher(Lookers(None))
    pusher.on_beat(layer=ChannelLayerWrapper(InMemoryChannelLayer(), "other", []))
    assert pusher._thread is None
