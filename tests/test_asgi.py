"""From the CHANNEL_LAYERS setting to channel layers."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
import threading

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from channels_classic.asgi import (
    REPLACED_BACKENDS,
    ChannelLayerManager,
    ChannelLayerWrapper,
    InvalidChannelLayerError,
    channel_layers,
    get_channel_layer,
    rebuild_on_change,
)
from channels_classic.layers.base import BaseChannelLayer
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.routing import Router, route

MEMORY = "channels_classic.layers.memory.InMemoryChannelLayer"
REDIS = "channels_classic.layers.redis.RedisChannelLayer"


def consumer(message, **kwargs):
    pass


def layers(**entry):
    """Settings with one layer, which is well but for what the test says."""
    return override_settings(
        CHANNEL_LAYERS={"default": {"BACKEND": MEMORY, "ROUTING": [], **entry}}
    )


@pytest.fixture
def manager():
    return ChannelLayerManager()


# ChannelLayerManager --------------------------------------------------------------------------


def test_configs_are_the_setting(manager):
    with override_settings(CHANNEL_LAYERS={"other": {}}):
        assert manager.configs == {"other": {}}


def test_configs_are_read_each_time(manager):
    with override_settings(CHANNEL_LAYERS={"one": {}}):
        assert list(manager.configs) == ["one"]
    with override_settings(CHANNEL_LAYERS={"two": {}}):
        assert list(manager.configs) == ["two"]


@pytest.mark.parametrize("nothing", [None, {}])
def test_configs_are_empty_without_layers(manager, nothing):
    with override_settings(CHANNEL_LAYERS=nothing):
        assert manager.configs == {}


def test_configs_that_are_no_dict_are_refused(manager):
    with (
        override_settings(CHANNEL_LAYERS=["default"]),
        pytest.raises(InvalidChannelLayerError, match=r"must be a dict of alias .* not a list"),
    ):
        manager.make_backend("default")


def test_make_backend_makes_a_wrapper_of_the_layer(manager):
    with layers():
        wrapper = manager.make_backend("default")
    assert isinstance(wrapper, ChannelLayerWrapper)
    assert isinstance(wrapper.channel_layer, InMemoryChannelLayer)


def test_make_backend_hands_config_to_the_layer(manager):
    with layers(CONFIG={"capacity": 7}):
        assert manager.make_backend("default").channel_layer.capacity == 7


@pytest.mark.parametrize("config", [None, {}])
def test_config_may_be_empty(manager, config):
    with layers(CONFIG=config):
        assert manager.make_backend("default").channel_layer.capacity == 100


def test_make_backend_makes_a_new_one_each_time(manager):
    with layers():
        assert manager.make_backend("default") is not manager.make_backend("default")


def test_make_backend_resolves_the_routing(manager):
    with layers(ROUTING={"orders": consumer}):
        assert manager.make_backend("default").router.channels == {"orders"}


def test_an_unknown_alias_is_a_key_error_that_names_the_known_ones(manager):
    with layers(), pytest.raises(KeyError, match="no layer 'bogus'; it has: 'default'") as caught:
        manager.make_backend("bogus")
    assert type(caught.value) is KeyError


def test_without_layers_the_key_error_says_so(manager):
    with override_settings(CHANNEL_LAYERS={}), pytest.raises(KeyError, match="it has: none"):
        manager.make_backend("default")


def test_make_test_backend_hands_test_config_to_the_layer(manager):
    with layers(CONFIG={"capacity": 7}, TEST_CONFIG={"capacity": 8}):
        assert manager.make_test_backend("default").channel_layer.capacity == 8


def test_make_test_backend_needs_a_test_config(manager):
    with layers(), pytest.raises(InvalidChannelLayerError, match="has no TEST_CONFIG: add one"):
        manager.make_test_backend("default")


def test_make_test_backend_refuses_an_unknown_alias(manager):
    with layers(), pytest.raises(InvalidChannelLayerError, match="'bogus'"):
        manager.make_test_backend("bogus")


def test_an_entry_that_is_no_dict_is_refused(manager):
    with (
        override_settings(CHANNEL_LAYERS={"default": MEMORY}),
        pytest.raises(InvalidChannelLayerError, match=r"\['default'\] must be a dict, not a str"),
    ):
        manager.make_backend("default")


@pytest.mark.parametrize("entry", [{"ROUTING": []}, {"ROUTING": [], "BACKEND": None}])
@pytest.mark.parametrize("make", ["make_backend", "make_test_backend"])
def test_a_missing_backend_is_refused(manager, entry, make):
    with (
        override_settings(CHANNEL_LAYERS={"default": {"TEST_CONFIG": {}, **entry}}),
        pytest.raises(InvalidChannelLayerError, match=r"\['default'\] has no BACKEND: name"),
    ):
        getattr(manager, make)("default")


@pytest.mark.parametrize("make", ["make_backend", "make_test_backend"])
def test_a_backend_that_cannot_be_imported_is_refused(manager, make):
    with (
        layers(BACKEND="nowhere.Layer", TEST_CONFIG={}),
        pytest.raises(InvalidChannelLayerError, match="cannot import the BACKEND 'nowhere"),
    ):
        getattr(manager, make)("default")


def test_a_backend_that_is_no_class_is_refused(manager):
    with (
        layers(BACKEND="channels_classic.layers.memory"),
        pytest.raises(InvalidChannelLayerError, match="is not a class"),
    ):
        manager.make_backend("default")


@pytest.mark.parametrize("make", ["make_backend", "make_test_backend"])
def test_a_missing_routing_is_refused(manager, make):
    with (
        override_settings(CHANNEL_LAYERS={"default": {"BACKEND": MEMORY, "TEST_CONFIG": {}}}),
        pytest.raises(InvalidChannelLayerError, match=r"\['default'\] has no ROUTING: give it"),
    ):
        getattr(manager, make)("default")


def test_a_routing_that_cannot_be_imported_is_improperly_configured(manager):
    with layers(ROUTING="nowhere.routing"), pytest.raises(ImproperlyConfigured, match="nowhere"):
        manager.make_backend("default")


@pytest.mark.parametrize(
    "path",
    [
        "asgi_redis.RedisChannelLayer",
        "asgi_redis.core.RedisChannelLayer",
        "channels_redis.core.RedisChannelLayer",
    ],
)
def test_a_networked_layer_of_another_package_is_refused_naming_ours(manager, path):
    with layers(BACKEND=path), pytest.raises(InvalidChannelLayerError, match=f"use '{REDIS}'"):
        manager.make_backend("default")


def test_the_in_memory_layer_of_another_package_is_refused_naming_ours(manager):
    with (
        layers(BACKEND="asgiref.inmemory.ChannelLayer"),
        pytest.raises(InvalidChannelLayerError, match=f"use '{MEMORY}'"),
    ):
        manager.make_backend("default")


@pytest.mark.parametrize("path", ["asgi_ipc.IPCChannelLayer", "asgi_redis.RedisLocalChannelLayer"])
def test_a_layer_for_one_machine_of_another_package_is_refused_naming_ours(manager, path):
    local = "channels_classic.layers.local.LocalChannelLayer"
    with layers(BACKEND=path), pytest.raises(InvalidChannelLayerError, match=f"use '{local}'"):
        manager.make_backend("default")


@pytest.mark.parametrize("path", sorted(set(REPLACED_BACKENDS.values())))
def test_what_replaces_a_layer_can_be_used(manager, path):
    needed = {"services": ["mymaster"]} if "Sentinel" in path else {}
    with layers(BACKEND=path, CONFIG=needed):
        assert isinstance(manager.make_backend("default").channel_layer, BaseChannelLayer)


def test_an_unknown_option_is_refused_with_the_one_that_was_meant(manager):
    with layers(CONFIG={"capasity": 7}), pytest.raises(InvalidChannelLayerError) as caught:
        manager.make_backend("default")
    assert str(caught.value) == (
        "CHANNEL_LAYERS['default']['CONFIG'] does not suit its layer: "
        f"{MEMORY} has no option 'capasity'; did you mean 'capacity'?"
    )


def test_an_option_of_the_redis_layer_that_was_meant_is_named(manager):
    with (
        layers(BACKEND=REDIS, CONFIG={"host": []}),
        pytest.raises(InvalidChannelLayerError, match="no option 'host'; did you mean 'hosts'"),
    ):
        manager.make_backend("default")


def test_an_option_like_no_other_is_refused_with_those_there_are(manager):
    with (
        layers(CONFIG={"zzz": 1}),
        pytest.raises(InvalidChannelLayerError, match="no option 'zzz'; it takes capacity, chann"),
    ):
        manager.make_backend("default")


def test_a_bad_value_is_refused_with_what_the_layer_says(manager):
    with (
        layers(CONFIG={"capacity": -1}),
        pytest.raises(InvalidChannelLayerError, match="capacity must be a number above 0, not -1"),
    ):
        manager.make_backend("default")


def test_a_config_that_is_no_dict_is_refused_without_showing_it(manager):
    with (
        layers(CONFIG="redis://:secret@host"),
        pytest.raises(InvalidChannelLayerError, match="dict of options, not a str") as caught,
    ):
        manager.make_backend("default")
    assert "secret" not in str(caught.value)


def test_a_bad_test_config_is_named_as_such(manager):
    with (
        layers(TEST_CONFIG={"capacity": -1}),
        pytest.raises(InvalidChannelLayerError, match=r"\['TEST_CONFIG'\] does not suit"),
    ):
        manager.make_test_backend("default")


def test_an_invalid_channel_layer_error_is_a_value_error():
    assert issubclass(InvalidChannelLayerError, ValueError)


def test_a_layer_is_made_once_when_first_asked_for(manager):
    with layers():
        assert manager.backends == {}
        assert manager["default"] is manager["default"]
        assert list(manager.backends) == ["default"]


def test_threads_that_ask_at_once_get_the_same_layer(manager, monkeypatch):
    both_make = threading.Barrier(2, timeout=10)
    make = manager.make_backend

    def make_together(alias):
        both_make.wait()
        return make(alias)

    monkeypatch.setattr(manager, "make_backend", make_together)
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(manager["default"]), daemon=True)
        for _ in range(2)
    ]
    with layers():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=10)
    assert len(found) == 2
    assert found[0] is found[1]


def test_an_alias_is_in_the_manager_when_the_settings_have_it(manager):
    with layers():
        assert "default" in manager
        assert "other" not in manager
        assert manager.backends == {}


def test_set_replaces_a_layer_and_returns_the_old_one(manager):
    with layers():
        old, new = manager["default"], manager.make_backend("default")
        assert manager.set("default", new) is old
        assert manager["default"] is new


def test_set_returns_none_when_there_was_no_layer(manager):
    with layers():
        assert manager.set("default", manager.make_backend("default")) is None


def test_none_lets_go_of_a_layer(manager):
    with layers():
        old = manager["default"]
        assert manager.set("default", None) is old
        assert manager["default"] is not old


def test_rebuild_forgets_the_layers_and_closes_them(manager, monkeypatch):
    with layers():
        old, closed = manager["default"], []
        monkeypatch.setattr(old.channel_layer, "close", lambda: closed.append(True))
        manager.rebuild()
        assert closed == [True]
        assert manager["default"] is not old


def test_rebuild_takes_layers_that_cannot_be_closed(manager):
    manager.set("default", ChannelLayerWrapper(object(), "default", []))
    manager.rebuild()
    assert manager.backends == {}


def test_new_channel_layers_rebuild_the_layers():
    before = channel_layers["default"]
    with layers(CONFIG={"capacity": 7}):
        assert channel_layers["default"].channel_layer.capacity == 7
    assert channel_layers["default"].channel_layer.capacity == 100
    assert channel_layers["default"] is not before


def test_other_settings_leave_the_layers_alone():
    before = channel_layers["default"]
    rebuild_on_change(setting="DEBUG", value=True, enter=True)
    assert channel_layers["default"] is before


# ChannelLayerWrapper --------------------------------------------------------------------------


@pytest.fixture
def wrapper():
    return ChannelLayerWrapper(InMemoryChannelLayer(), "default", [route("orders", consumer)])


def test_a_wrapper_keeps_its_layer_alias_and_routing():
    layer, routing = InMemoryChannelLayer(), [route("orders", consumer)]
    made = ChannelLayerWrapper(layer, "default", routing)
    assert made.channel_layer is layer
    assert made.alias == "default"
    assert made.routing is routing


def test_a_wrapper_has_the_router_of_its_routing(wrapper):
    assert isinstance(wrapper.router, Router)
    assert wrapper.router.channels == {"orders"}


def test_a_wrapper_is_else_its_layer(wrapper):
    wrapper.send("orders", {"id": 1})
    assert wrapper.receive(["orders"]) == ("orders", {"id": 1})


def test_an_attribute_that_the_layer_lacks_is_missed(wrapper):
    with pytest.raises(AttributeError, match=r"InMemoryChannelLayer.*'teleport'"):
        wrapper.teleport  # noqa: B018


def test_a_wrapper_can_be_copied(wrapper):
    assert copy.copy(wrapper).channel_layer is wrapper.channel_layer


def test_the_text_of_a_wrapper_is_alias_and_class(wrapper):
    assert str(wrapper) == f"default ({MEMORY})"


def test_the_in_memory_layer_is_local_only(wrapper):
    assert wrapper.local_only() is True


def test_the_redis_layer_is_not_local_only():
    with layers(BACKEND=REDIS):
        assert ChannelLayerManager()["default"].local_only() is False


def test_a_layer_from_a_module_called_inmemory_is_local_only():
    layer = type("Layer", (), {"__module__": "shop.inmemory"})()
    assert ChannelLayerWrapper(layer, "default", []).local_only() is True


def test_a_layer_that_says_it_is_not_local_only_is_believed():
    layer = type("Layer", (), {"__module__": "shop.inmemory", "local_only": False})()
    assert ChannelLayerWrapper(layer, "default", []).local_only() is False


def test_any_other_layer_is_not_local_only():
    assert ChannelLayerWrapper(object(), "default", []).local_only() is False


# get_channel_layer and the module -------------------------------------------------------------


def test_get_channel_layer_returns_the_raw_layer():
    assert get_channel_layer() is channel_layers["default"].channel_layer


def test_get_channel_layer_takes_an_alias():
    both = {"BACKEND": MEMORY, "ROUTING": []}
    with override_settings(CHANNEL_LAYERS={"default": both, "other": both}):
        assert get_channel_layer("other") is channel_layers["other"].channel_layer


def test_channel_layers_is_a_manager():
    assert isinstance(channel_layers, ChannelLayerManager)


def run(code, **environ):
    """What a fresh interpreter prints for ``code``, with no Django settings but those given."""
    inherited = {k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**inherited, "PYTHONPATH": os.pathsep.join(sys.path), **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_get_channel_layer_sets_django_up():
    code = """
from channels_classic.asgi import get_channel_layer
from django.apps import apps
assert not apps.ready
print(type(get_channel_layer()).__name__, apps.ready)
"""
    assert run(code, DJANGO_SETTINGS_MODULE="tests.settings") == "InMemoryChannelLayer True"


def test_get_channel_layer_leaves_the_script_prefix_alone():
    code = """
from channels_classic.asgi import get_channel_layer
from django.conf import settings
from django.urls import get_script_prefix
settings.FORCE_SCRIPT_NAME = "/app"
get_channel_layer()
print(get_script_prefix())
"""
    assert run(code, DJANGO_SETTINGS_MODULE="tests.settings") == "/"


def test_the_package_is_imported_without_settings_and_makes_no_layer():
    code = """
import channels_classic
from channels_classic import Channel, Group, route, route_class, include, channel_layers
from django.conf import settings
print(settings.configured, channel_layers.backends, channels_classic.DEFAULT_CHANNEL_LAYER)
"""
    assert run(code) == "False {} default"
