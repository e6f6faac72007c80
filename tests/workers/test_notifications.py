"""The example's notifications: to all tabs of a user, until one of them dismisses it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction

from channels_classic.exceptions import LayerUnavailable
from channels_classic.test import WSClient

PATH = "/notifications/"


@pytest.fixture
def notify(site) -> Any:
    return import_module("notifications.notify").notify


@pytest.fixture
def ann(site) -> User:
    return User.objects.create(username="ann")


@pytest.fixture
def bob(site) -> User:
    return User.objects.create(username="bob")


def tab(user: User | None) -> WSClient:
    """A page of the user; what it was shown first is still to be heard."""
    client = WSClient()
    if user is not None:
        client.force_login(user)
    client.send_and_consume("websocket.connect", path=PATH)
    return client


def dismiss(client: WSClient, numbers: Any) -> None:
    client.send_and_consume("websocket.receive", text={"dismiss": numbers}, path=PATH)


def texts(shown: Any) -> list[str]:
    return [each["text"] for each in shown]


def test_a_notification_is_shown_in_all_tabs_of_its_user_and_in_no_other(notify, ann, bob):
    tabs = [tab(ann), tab(ann), tab(bob)]
    for each in tabs:
        assert each.receive() == {"unseen": []}
    made = notify(ann, "<b>hello</b>", "warning")
    for each in tabs[:2]:
        (shown,) = each.receive()["shown"]
        assert (shown["id"], shown["text"], shown["level"]) == (made.pk, "<b>hello</b>", "warning")
    assert tabs[2].receive() is None


def test_who_was_away_is_shown_what_is_unseen_in_its_order(notify, ann):
    for text in ["first", "second"]:
        notify(ann, text)
    assert texts(tab(ann).receive()["unseen"]) == ["first", "second"]


def test_of_many_a_page_is_shown_the_newest(notify, ann):
    for number in range(25):
        notify(ann, f"number {number}")
    assert texts(tab(ann).receive()["unseen"]) == [f"number {number}" for number in range(5, 25)]


def test_what_is_dismissed_in_one_tab_goes_in_all_and_does_not_come_back(notify, ann):
    tabs = [tab(ann), tab(ann)]
    made = [notify(ann, text) for text in ["first", "second"]]
    dismiss(tabs[0], [made[0].pk])
    for each in tabs:
        assert [each.receive() for _ in range(4)][-1] == {"gone": [made[0].pk]}
    assert texts(tab(ann).receive()["unseen"]) == ["second"]


def test_nobody_dismisses_what_is_somebody_elses(notify, ann, bob):
    made = notify(ann, "for ann")
    dismiss(tab(bob), [made.pk])
    made.refresh_from_db()
    assert made.seen is None


@pytest.mark.parametrize("numbers", [None, 1, ["1"], [True], [0, -1], [2**63], {}, []])
def test_what_makes_no_sense_dismisses_nothing(notify, ann, numbers):
    client, made = tab(ann), notify(ann, "hello")
    dismiss(client, numbers)
    client.send_and_consume("websocket.receive", {"bytes": b"\0"}, path=PATH)
    made.refresh_from_db()
    assert made.seen is None


def test_it_is_shown_when_the_transaction_is_committed_and_never_if_it_is_not(notify, ann):
    client = tab(ann)
    client.receive()
    with transaction.atomic():
        notify(ann, "committed")
        assert client.channel_layer.channel_layer.receive([client.reply_channel]) == (None, None)
    assert texts(client.receive()["shown"]) == ["committed"]
    with transaction.atomic():
        notify(ann, "rolled back")
        transaction.set_rollback(True)
    assert client.receive() is None


def test_it_is_kept_when_the_bus_is_away(notify, site, ann, monkeypatch):
    def deliver(*args: Any) -> None:
        raise LayerUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(site, "deliver", deliver)
        notify(ann, "hello")
    assert texts(tab(ann).receive()["unseen"]) == ["hello"]


@pytest.mark.parametrize(
    ("text", "level", "field"),
    [("", "info", "text"), ("x" * 501, "info", "text"), ("hello", "loud", "level")],
)
def test_what_cannot_be_shown_is_an_error_of_the_caller(notify, ann, text, level, field):
    with pytest.raises(ValidationError) as error:
        notify(ann, text, level)
    assert list(error.value.message_dict) == [field]
    assert not ann.notifications.exists()


def test_who_is_not_signed_in_is_told_and_closed(site):
    client = tab(None)
    assert [client.receive(), client.receive()] == [{"signed_out": True}, None]


# The page -----------------------------------------------------------------------------------


def test_the_page_is_for_who_is_signed_in(site, client):
    assert client.get(PATH)["Location"] == "/sign-in/?next=/notifications/"


def test_pages_have_toasts_for_who_is_signed_in_alone(client, ann):
    assert 'id="toasts"' not in client.get("/").content.decode()
    client.force_login(ann)
    assert 'id="toasts"' in client.get("/").content.decode()


def test_a_user_sends_one_to_themselves_and_sees_it_in_the_list(client, ann):
    client.force_login(ann)
    assert client.post(PATH, {"text": "<hello>", "level": "info"})["Location"] == PATH
    assert texts(ann.notifications.values()) == ["<hello>"]
    assert "&lt;hello&gt;" in client.get(PATH).content.decode()


def test_a_user_sends_one_to_somebody_else_and_is_told_so(client, ann, bob):
    client.force_login(ann)
    client.post(PATH, {"to": "BOB", "text": "hello", "level": "error"})
    assert texts(bob.notifications.values()) == ["ann says: hello"]
    assert texts(ann.notifications.values()) == ["Sent to bob."]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"to": "nobody", "text": "x", "level": "info"}, "Nobody here is called nobody."),
        ({"text": " ", "level": "info"}, "Write something first."),
        ({"text": "x" * 301, "level": "info"}, "This has 301 characters, and the limit is 300."),
        ({"text": "x", "level": "loud"}, "loud is not one of the available choices"),
    ],
)
def test_what_cannot_be_sent_is_refused_with_a_reason(client, ann, data, text):
    client.force_login(ann)
    assert text in client.post(PATH, data).content.decode()
    assert not ann.notifications.exists()


def test_a_long_text_has_room_for_the_name_of_who_says_it(client, ann, bob):
    client.force_login(ann)
    client.post(PATH, {"to": "bob", "text": "x" * 300, "level": "info"})
    assert texts(bob.notifications.values()) == ["ann says: " + "x" * 300]


def test_what_is_added_in_the_admin_is_sent(admin_client, ann):
    client = tab(ann)
    client.receive()
    data = {"user": ann.pk, "level": "info", "text": "from the admin"}
    answer = admin_client.post("/admin/notifications/notification/add/", data)
    assert answer.status_code == 302
    assert texts(client.receive()["shown"]) == ["from the admin"]
