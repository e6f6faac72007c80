"""Binding: what a class of one must say, when it is connected, and what a message makes it do."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.contrib.auth.models import AnonymousUser

from channels_classic.asgi import ChannelLayerWrapper
from channels_classic.binding import Binding
from channels_classic.binding.base import CREATE, DELETE, UPDATE, BindingMetaclass
from channels_classic.binding.websockets import WebsocketBinding
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.message import Message
from tests.binding.library.models import Author, Book

pytestmark = pytest.mark.usefixtures("bindings")


def message(channel="work", **content):
    wrapper = ChannelLayerWrapper(InMemoryChannelLayer(), "default", [])
    return Message({"reply_channel": "server.reply!a", **content}, channel, wrapper)


def watchers(model):
    watcher = BindingMetaclass.watchers.get(model)
    return watcher.bindings if watcher else []


# What a class must say --------------------------------------------------------------------


def test_the_actions_have_names():
    assert (CREATE, UPDATE, DELETE) == ("create", "update", "delete")


def test_a_binding_without_a_model_is_refused():
    with pytest.raises(ValueError, match=r"Wrong has no model: set one, or model = None if"):

        class Wrong(WebsocketBinding):
            fields = "__all__"


def test_one_for_others_to_derive_from_says_so_itself():
    class Abstract(Binding):
        model = None

    class Concrete(Abstract):
        model = Author
        fields = ("name",)

    assert watchers(Author)[-1] is Concrete
    with pytest.raises(ValueError, match="Wrong has no model"):

        class Wrong(Abstract):
            pass


def test_a_binding_without_fields_is_refused():
    with pytest.raises(ValueError, match="Wrong has neither fields nor exclude"):

        class Wrong(Binding):
            model = Author


@pytest.mark.parametrize("attribute", ["fields", "exclude"])
def test_fields_that_the_model_has_not_are_refused(bind, attribute):
    with pytest.raises(ValueError, match=rf"Made\.{attribute} names what library.Author has not"):
        bind(Author, **{attribute: ["name", "pasword"]})


@pytest.mark.parametrize("attribute", ["fields", "exclude"])
def test_a_text_is_no_list_of_fields(bind, attribute):
    with pytest.raises(ValueError, match=rf'Made\.{attribute} is a list of field names or "__all'):
        bind(Author, **{attribute: "name"})


@pytest.mark.parametrize("names", ["__all__", ["__all__"], ["pk", "author", "author_id", "tags"]])
def test_fields_of_every_kind_may_be_named(bind, names):
    assert bind(Book, fields=names).fields == names


# Registration -----------------------------------------------------------------------------


def test_a_model_may_be_given_by_its_name(bind):
    made = bind("library.Book")
    assert made.model is Book
    assert watchers(Book)[-1] is made


def test_a_binding_is_connected_as_soon_as_it_is_defined(bind):
    made = bind(Author)
    assert watchers(Author)[-1] is made


def test_bindings_defined_before_the_models_are_ready_are_connected_then(bind, monkeypatch):
    monkeypatch.setattr(BindingMetaclass, "register_immediately", False)
    early = bind("library.Book")
    assert early not in watchers(Book)
    apps.get_app_config("channels_classic").ready()
    assert early in watchers(Book)
    assert BindingMetaclass.register_immediately


def test_an_incomplete_one_is_found_then(monkeypatch):
    monkeypatch.setattr(BindingMetaclass, "register_immediately", False)
    type(Binding)("Early", (Binding,), {})
    with pytest.raises(ValueError, match="Early has no model"):
        BindingMetaclass.register_all()


def test_being_connected_twice_is_being_connected_once(bind):
    made = bind(Author)
    BindingMetaclass.register_all()
    made.register()
    assert watchers(Author).count(made) == 1


# What is to be implemented ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda cls: cls.group_names(None), "group_names"),
        (lambda cls: cls.encode("s", {}), "encode"),
        (lambda cls: cls().serialize(None, CREATE), "serialize"),
        (lambda cls: cls().deserialize(None), "deserialize"),
        (lambda cls: cls().has_permission(None, CREATE, None), "has_permission"),
        (lambda cls: cls().create({}), "create"),
        (lambda cls: cls().update(1, {}), "update"),
    ],
)
def test_what_is_missing_says_its_name(call, name):
    class Bare(Binding):
        model = None

    with pytest.raises(NotImplementedError, match=rf"Bare has no {name}\("):
        call(Bare)


# Inbound ----------------------------------------------------------------------------------


class Noting(Binding):
    """Takes actions from any channel, and notes what it is asked for."""

    model = None
    channel_session_user = False
    allowed = True

    def deserialize(self, message):
        return message["action"], message.get("pk"), message.get("data")

    def has_permission(self, user, action, pk):
        self.asked = (user, action, pk)
        return self.allowed

    def create(self, data):
        done.append(("create", data, *self.asked))

    def update(self, pk, data):
        done.append(("update", pk, data, self.kwargs))

    def delete(self, pk):
        done.append(("delete", pk, self.message["pk"]))


done = []


@pytest.fixture(autouse=True)
def _nothing_done():
    done.clear()


def test_a_message_is_an_action():
    Noting.consumer(message(action="create", data={"a": 1}))
    Noting.consumer(message(action="update", pk=1, data={"a": 1}), room="a")
    Noting.consumer(message(action="delete", pk=1))
    assert done == [
        ("create", {"a": 1}, AnonymousUser(), "create", None),
        ("update", 1, {"a": 1}, {"room": "a"}),
        ("delete", 1, 1),
    ]


def test_the_user_of_the_message_is_asked_about():
    sent = message(action="create")
    sent.user = "the user"
    Noting.consumer(sent)
    assert done == [("create", None, "the user", "create", None)]


def test_what_is_not_permitted_is_not_done(monkeypatch):
    monkeypatch.setattr(Noting, "allowed", False)
    for action in (CREATE, UPDATE, DELETE):
        Noting.consumer(message(action=action, pk=1))
    assert done == []


def test_an_unknown_action_is_refused():
    with pytest.raises(ValueError, match="Noting has no action 'burn'"):
        Noting.consumer(message(action="burn"))


def test_a_binding_may_have_actions_of_its_own():
    class Burning(Noting):
        model = None

        def run_action(self, action, pk, data):
            if action == "burn":
                done.append(("burned", pk))
            else:
                super().run_action(action, pk, data)

    Burning.consumer(message(action="burn", pk=1))
    Burning.consumer(message(action="delete", pk=1))
    assert done == [("burned", 1), ("delete", 1, 1)]


def test_decorators_of_a_project_go_into_get_handler():
    class Decorated(Noting):
        model = None

        @classmethod
        def get_handler(cls):
            handler = super().get_handler()
            return lambda message, **kwargs: [handler(message, **kwargs) for _ in "ab"]

    Decorated.consumer(message(action="delete", pk=1))
    assert len(done) == 2
