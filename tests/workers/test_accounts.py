"""The example's sign-in: a name becomes a user in a session, and names with passwords are safe."""

from __future__ import annotations

from importlib import import_module

import pytest
from django.contrib.auth import get_user
from django.contrib.auth.models import User

from channels_classic.exceptions import LayerUnavailable
from channels_classic.test import WSClient


def sign_in(client, name, **options):
    return client.post("/sign-in/", {"username": name, **options})


def test_a_name_becomes_a_user_without_a_password(site, client):
    assert sign_in(client, "ann", next="/chat/")["Location"] == "/chat/"
    user = get_user(client)
    assert (user.get_username(), user.has_usable_password(), user.is_staff) == ("ann", False, False)


def test_the_same_name_is_the_same_user_however_it_is_written(site, client):
    for name in ["Ann", "ann", "ANN"]:
        sign_in(client, name)
        assert get_user(client).get_username() == "Ann"
        client.post("/sign-out/")
    assert User.objects.count() == 1


@pytest.mark.parametrize("name", ["root", "ROOT"])
def test_a_name_that_has_a_password_cannot_be_taken(site, client, name):
    User.objects.create_superuser("root", password="secret")
    assert "This name is not free." in sign_in(client, name).content.decode()
    assert get_user(client).is_anonymous


@pytest.mark.parametrize("power", ["is_staff", "is_superuser"])
def test_a_name_with_powers_cannot_be_taken_even_without_a_password(site, client, power):
    User.objects.create_user("root", **{power: True})
    assert "This name is not free." in sign_in(client, "root").content.decode()
    assert get_user(client).is_anonymous


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("", "Say a name first."),
        ("two words", "and no spaces"),
        ("<b>", "and no spaces"),
        ("a", "at least 2 characters"),
        ("a" * 31, "at most 30 characters"),
    ],
)
def test_what_is_no_name_is_refused_with_a_reason(site, client, name, text):
    assert text in sign_in(client, name).content.decode()
    assert not User.objects.exists()


def test_nobody_is_led_to_another_site(site, client):
    assert sign_in(client, "ann", next="https://evil.example/")["Location"] == "/"


@pytest.mark.parametrize("path", ["/chat/lobby/", "/notifications/"])
def test_who_signs_out_closes_the_sockets_of_that_session_and_no_others(site, client, path):
    import_module("chat.models").Room.objects.create(name="Lobby", slug="lobby")
    user = User.objects.create(username="ann")
    here, elsewhere = WSClient(), WSClient()
    for each in (here, elsewhere):
        each.force_login(user)
        each.send_and_consume("websocket.connect", path=path)
    client.cookies["sessionid"] = here.session.session_key
    client.post("/sign-out/")
    answers = [content(each)[-1] for each in (here, elsewhere)]
    assert answers[0] == {"text": '{"signed_out": true}', "close": True}
    assert "close" not in answers[1]


def test_signing_out_works_without_a_session_and_without_the_bus(site, client, monkeypatch):
    assert client.post("/sign-out/")["Location"] == "/"
    sign_in(client, "ann")

    def deliver(*args):
        raise LayerUnavailable

    monkeypatch.setattr(site, "deliver", deliver)
    assert client.post("/sign-out/")["Location"] == "/"
    assert get_user(client).is_anonymous


def content(socket):
    """All that a socket was sent."""
    layer = socket.channel_layer.channel_layer
    return list(iter(lambda: layer.receive([socket.reply_channel])[1], None))


def test_pages_say_who_is_signed_in_and_let_them_out(site, client):
    sign_in(client, "ann")
    assert "<span>ann</span>" in client.get("/").content.decode()
    assert client.post("/sign-out/")["Location"] == "/"
    assert "<span>ann</span>" not in client.get("/").content.decode()
