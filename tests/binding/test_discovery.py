"""Bindings that only the routing leads to are found in processes that have no use for it."""

from __future__ import annotations

import sys

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db.migrations.state import ModelState, ProjectState
from django.db.models.signals import pre_delete, pre_init

from channels_classic.asgi import ChannelLayerWrapper, channel_layers
from channels_classic.binding.discovery import _look, look_before_changes
from tests.binding.library.models import Author

LATE = "tests.binding.library.late_routing"
MEMORY = "channels_classic.layers.memory.InMemoryChannelLayer"


@pytest.fixture
def routed(settings, bindings, layer):
    """``routed(path)`` is a new process whose channel layer has its routing there."""

    def routed(path):
        settings.CHANNEL_LAYERS = {"default": {"BACKEND": MEMORY, "ROUTING": path}}
        channel_layers.set("default", ChannelLayerWrapper(layer, "default", []))
        look_before_changes()

    yield routed
    sys.modules.pop(LATE, None)
    pre_init.disconnect(_look)
    pre_delete.disconnect(_look)


@pytest.mark.django_db(transaction=True)
def test_the_first_change_of_a_process_is_told(routed, groups):
    routed(f"{LATE}.routing")
    heard = groups("late")
    assert LATE not in sys.modules
    Author.objects.create(name="Ann")
    assert LATE in sys.modules
    assert heard.actions() == {"late": ["create"]}


@pytest.mark.django_db(transaction=True)
def test_a_query_that_deletes_may_be_the_first_change(routed, groups):
    Author.objects.create(name="Ann")
    routed(f"{LATE}.routing")
    heard = groups("late")
    Author.objects.all().delete()
    assert heard.actions() == {"late": ["delete"]}


def test_it_is_looked_once(routed):
    routed(f"{LATE}.routing")
    Author(name="Ann")
    assert not pre_init.has_listeners(Author)
    assert not pre_delete.has_listeners(ContentType)


def test_the_models_of_migrations_find_nothing(routed):
    routed(f"{LATE}.routing")
    state = ProjectState()
    state.add_model(ModelState.from_model(Author))
    state.apps.get_model("library", "Author")(name="Ann")
    assert LATE not in sys.modules


def test_a_row_can_be_made_when_the_routing_is_broken(routed, caplog):
    routed("nowhere.routing")
    assert Author(name="Ann").name == "Ann"
    assert "Cannot load the routing of the channel layer 'default'" in caplog.text
    assert "nowhere" in caplog.text
