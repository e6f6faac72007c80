"""Models bound to streams: what ``channels_classic.binding`` does for those of Channels 1."""

# ruff: noqa: RUF012 - as users of Channels 1 declare their bindings

from __future__ import annotations

import json

import pytest
from django.contrib.auth import get_user_model

from channels_classic import Group
from channels_classic.binding.base import CREATE, DELETE, UPDATE, Binding
from channels_classic.binding.websockets import WebsocketBinding, WebsocketBindingWithMembers
from channels_classic.generic.websockets import WebsocketDemultiplexer
from tests.parity.conftest import REPLY

pytestmark = pytest.mark.django_db


class Seen:
    """Which groups see a user, and what clients may do: nothing but in the tests of this file."""

    groups = staticmethod(lambda instance: [])
    permits = staticmethod(lambda user, action, pk: True)


class Users(WebsocketBinding):
    model = "auth.User"
    stream = "users"
    fields = ["username", "email"]

    @classmethod
    def group_names(cls, instance):
        return Seen.groups(instance)

    def has_permission(self, user, action, pk):
        return Seen.permits(user, action, pk)


class Members(WebsocketBindingWithMembers):
    model = get_user_model()
    stream = "members"
    exclude = ["password", "last_login", "date_joined", "groups", "user_permissions"]
    send_members = ["get_full_name", "groups.count"]

    @classmethod
    def group_names(cls, instance):
        return [f"{name}-members" for name in Seen.groups(instance)]

    def has_permission(self, user, action, pk):
        return True


class Streams(WebsocketDemultiplexer):
    consumers = {"users": Users.consumer}


@pytest.fixture
def frames(bus, monkeypatch, django_capture_on_commit_callbacks):
    """``frames(change, group=…)``: what a member of the group is sent for a change."""
    monkeypatch.setattr(Seen, "groups", staticmethod(lambda instance: ["all"]))

    def sent(change, group="all"):
        Group(group).add(REPLY)
        with django_capture_on_commit_callbacks(execute=True):
            change()
        return [json.loads(reply["text"]) for reply in bus.replies()]

    return sent


@pytest.fixture
def ada():
    return get_user_model().objects.create(username="ada", email="ada@example.com")


def inbound(bus, action, pk=None, data=None, *, channel="websocket.receive"):
    payload = {"action": action, "pk": pk, "data": data}
    text = json.dumps({"stream": "users", "payload": payload})
    return Streams(bus.message(channel, text=text, order=1))


def usernames():
    return sorted(get_user_model().objects.values_list("username", flat=True))


# Declaring ---------------------------------------------------------------------------------------


def test_a_binding_without_a_model_is_abstract():
    class Abstract(WebsocketBinding):
        model = None

    assert Abstract.model is None


def test_a_binding_that_inherits_no_model_is_refused():
    class Abstract(WebsocketBinding):
        model = None

    with pytest.raises(ValueError, match="model"):
        type("Concrete", (Abstract,), {"stream": "x", "fields": []})


def test_a_binding_without_fields_is_refused():
    with pytest.raises(ValueError, match=r"fields|exclude"):
        type("Fieldless", (WebsocketBinding,), {"model": "auth.User", "stream": "x"})


def test_a_binding_must_say_who_sees_an_instance():
    with pytest.raises(NotImplementedError):
        Binding.group_names(object())


# Outbound ----------------------------------------------------------------------------------------


def test_what_is_created_is_sent_to_its_groups(frames):
    [sent] = frames(lambda: get_user_model().objects.create(username="ada", email="a@example.com"))
    pk = get_user_model().objects.get().pk
    assert sent == {
        "stream": "users",
        "payload": {
            "action": CREATE,
            "pk": pk,
            "data": {"username": "ada", "email": "a@example.com"},
            "model": "auth.user",
        },
    }


def test_what_is_changed_is_sent_to_its_groups(ada, frames):
    def change():
        ada.email = "lovelace@example.com"
        ada.save()

    [sent] = frames(change)
    assert sent["payload"]["action"] == UPDATE
    assert sent["payload"]["data"]["email"] == "lovelace@example.com"


def test_what_is_deleted_is_sent_to_its_groups(ada, frames):
    pk = ada.pk
    [sent] = frames(ada.delete)
    assert (sent["payload"]["action"], sent["payload"]["pk"]) == (DELETE, pk)


def test_a_change_of_many_at_once_is_not_seen(ada, frames):
    assert frames(lambda: get_user_model().objects.update(email="x@example.com")) == []


def test_without_groups_nothing_is_sent(ada, frames, monkeypatch):
    monkeypatch.setattr(Seen, "groups", staticmethod(lambda instance: []))
    assert frames(ada.save) == []


def test_who_sees_no_longer_is_told_of_a_delete_and_who_sees_now_of_a_create(
    ada, frames, monkeypatch
):
    """Weakness 13: the groups before were those after."""
    groups = staticmethod(lambda instance: ["old" if instance.email.startswith("ada") else "new"])
    monkeypatch.setattr(Seen, "groups", groups)
    fresh = get_user_model().objects.get(pk=ada.pk)
    Group("new").add("server.reply.new!1")

    def change():
        fresh.email = "lovelace@example.com"
        fresh.save()

    [sent] = frames(change, group="old")
    assert sent["payload"]["action"] == DELETE


def test_members_are_sent_too_with_dots_as_underscores(ada, frames):
    ada.first_name, ada.last_name = "Ada", "Lovelace"
    [sent] = frames(ada.save, group="all-members")
    data = sent["payload"]["data"]
    assert (data["get_full_name"], data["groups__count"]) == ("Ada Lovelace", 0)
    assert data["username"] == "ada"
    assert "password" not in data


@pytest.mark.parametrize("fields", ["__all__", ["__all__"]])
def test_all_fields_may_be_sent(ada, frames, monkeypatch, fields):
    monkeypatch.setattr(Users, "fields", fields)
    [sent] = frames(ada.save)
    assert {"username", "is_staff", "last_login"} <= set(sent["payload"]["data"])


def test_a_binding_without_a_stream_cannot_send(ada, frames, monkeypatch):
    monkeypatch.setattr(Users, "stream", None)
    with pytest.raises(AssertionError, match="stream"):
        frames(ada.save)


# Inbound -----------------------------------------------------------------------------------------


def test_a_client_creates(engine, bus):
    inbound(bus, CREATE, data={"username": "ada", "email": "ada@example.com"})
    assert usernames() == ["ada"]


def test_a_client_sets_no_other_fields_of_what_it_creates(engine, bus):
    """Weakness 14: a client could make itself a superuser."""
    inbound(bus, CREATE, data={"username": "ada", "email": "", "is_superuser": True})
    assert not get_user_model().objects.filter(is_superuser=True).exists()


def test_a_client_updates_the_fields_that_it_may(engine, bus, ada):
    inbound(bus, UPDATE, ada.pk, {"email": "new@example.com", "is_superuser": True})
    ada.refresh_from_db()
    assert (ada.email, ada.is_superuser) == ("new@example.com", False)


def test_a_client_deletes(engine, bus, ada):
    inbound(bus, DELETE, ada.pk)
    assert usernames() == []


def test_what_is_not_permitted_is_ignored(engine, bus, ada, monkeypatch):
    asked = []

    def permits(user, action, pk):
        asked.append((user.is_anonymous, action, pk))
        return False

    monkeypatch.setattr(Seen, "permits", staticmethod(permits))
    inbound(bus, DELETE, ada.pk)
    assert (asked, usernames()) == ([(True, DELETE, ada.pk)], ["ada"])


def test_another_action_is_refused(engine, bus):
    with pytest.raises(ValueError, match="steal"):
        inbound(bus, "steal", 1)


def test_slight_ordering_is_refused(engine, bus, monkeypatch):
    monkeypatch.setattr(Users, "slight_ordering", True)
    with pytest.raises(ValueError, match="slight"):
        inbound(bus, DELETE, 1)


def test_a_binding_that_wants_its_messages_in_order_runs(engine, bus, ada, monkeypatch):
    monkeypatch.setattr(Users, "strict_ordering", True)
    inbound(bus, DELETE, ada.pk)
    assert usernames() == []


def test_a_handshake_of_its_socket_changes_nothing(engine, bus):
    Streams(bus.connect())
    assert {"accept": True} in bus.replies()
    assert usernames() == []
