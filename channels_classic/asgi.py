"""From the CHANNEL_LAYERS setting to channel layers, each with the router of its messages."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Mapping
from typing import Any

import django
from django.utils.module_loading import import_string

from channels_classic.conf import DEFAULT_CHANNEL_LAYER, channel_layer_configs
from channels_classic.exceptions import InvalidChannelLayerError
from channels_classic.layers.base import BaseChannelLayer
from channels_classic.routing import Router
from channels_classic.utils import name_that_thing

__all__ = [
    "ChannelLayerManager",
    "ChannelLayerWrapper",
    "InvalidChannelLayerError",
    "channel_layers",
    "get_channel_layer",
]

_MEMORY = "channels_classic.layers.memory.InMemoryChannelLayer"
_REDIS = "channels_classic.layers.redis.RedisChannelLayer"
_SENTINEL = "channels_classic.layers.redis.RedisSentinelChannelLayer"
_LOCAL = "channels_classic.layers.local.LocalChannelLayer"

#: Layers of other packages that were or are used with Channels, and what takes their place here.
REPLACED_BACKENDS = {
    "asgi_ipc.IPCChannelLayer": _LOCAL,
    "asgi_ipc.core.IPCChannelLayer": _LOCAL,
    "asgi_rabbitmq.RabbitmqChannelLayer": _REDIS,
    "asgi_rabbitmq.RabbitmqLocalChannelLayer": _REDIS,
    "asgi_rabbitmq.core.RabbitmqChannelLayer": _REDIS,
    "asgi_redis.RedisChannelLayer": _REDIS,
    "asgi_redis.RedisLocalChannelLayer": _LOCAL,
    "asgi_redis.RedisSentinelChannelLayer": _SENTINEL,
    "asgi_redis.core.RedisChannelLayer": _REDIS,
    "asgi_redis.local.RedisLocalChannelLayer": _LOCAL,
    "asgi_redis.sentinel.RedisSentinelChannelLayer": _SENTINEL,
    "asgiref.inmemory.ChannelLayer": _MEMORY,
    "channels.layers.InMemoryChannelLayer": _MEMORY,
    "channels_redis.core.RedisChannelLayer": _REDIS,
    "channels_redis.pubsub.RedisPubSubChannelLayer": _REDIS,
}


class ChannelLayerWrapper:
    """A channel layer with its alias and the router of its messages; else it is that layer.

    Raises what ``Router`` raises when ``routing`` is not usable.
    """

    def __init__(self, channel_layer: BaseChannelLayer, alias: str, routing: Any) -> None:
        self.channel_layer = channel_layer
        self.alias = alias
        self.routing = routing
        self.router = Router(routing)

    def __str__(self) -> str:
        return f"{self.alias} ({name_that_thing(self.channel_layer)})"

    def local_only(self) -> bool:
        """Whether the layer carries messages within this process alone."""
        return is_local_only(type(self.channel_layer))

    def __getattr__(self, name: str) -> Any:
        if name == "channel_layer":  # while this is copied: not set yet
            raise AttributeError(name)
        return getattr(self.channel_layer, name)


class ChannelLayerManager:
    """The channel layers of the settings, by alias, each made when it is first asked for."""

    def __init__(self) -> None:
        self.backends: dict[str, ChannelLayerWrapper] = {}

    @property
    def configs(self) -> dict[str, dict[str, Any]]:
        """The CHANNEL_LAYERS setting as it is now; ``InvalidChannelLayerError`` if no dict."""
        configs: Any = channel_layer_configs()
        if not isinstance(configs, Mapping):
            raise InvalidChannelLayerError(
                f"CHANNEL_LAYERS must be a dict of alias and layer, not a {type(configs).__name__}"
            )
        return dict(configs)

    def make_backend(self, name: str) -> ChannelLayerWrapper:
        """A new layer for the alias ``name``, with its CONFIG.

        Raises ``KeyError`` for an unknown alias, ``InvalidChannelLayerError`` for settings that
        are not usable, and what ``Router`` raises.
        """
        if name not in self:
            known = ", ".join(map(repr, self.configs)) or "none"
            raise KeyError(f"CHANNEL_LAYERS has no layer {name!r}; it has: {known}")
        return self._make(name, "CONFIG")

    def make_test_backend(self, name: str) -> ChannelLayerWrapper:
        """A new layer for the alias ``name``, with its TEST_CONFIG.

        Raises as ``make_backend``, ``InvalidChannelLayerError`` for an unknown alias too.
        """
        if name not in self or "TEST_CONFIG" not in _entry(self.configs, name):
            raise InvalidChannelLayerError(
                f"CHANNEL_LAYERS[{name!r}] has no TEST_CONFIG: add one, with the options of a "
                "channel layer that tests may flush"
            )
        return self._make(name, "TEST_CONFIG")

    def _make(self, alias: str, options_key: str) -> ChannelLayerWrapper:
        entry = _entry(self.configs, alias)
        if "ROUTING" not in entry:
            raise InvalidChannelLayerError(
                f"CHANNEL_LAYERS[{alias!r}] has no ROUTING: "
                "give it a list of routes or the dotted path of one"
            )
        layer = build_layer(load_layer_class(alias, entry), alias, entry, options_key)
        return ChannelLayerWrapper(layer, alias, entry["ROUTING"])

    def __getitem__(self, alias: str) -> ChannelLayerWrapper:
        wrapper = self.backends.get(alias)
        if wrapper is None:
            # Two threads may both make one: the first that is stored is everybody's. A lock here
            # could deadlock with the import lock of the routing module, which this imports.
            wrapper = self.backends.setdefault(alias, self.make_backend(alias))
        return wrapper

    def __contains__(self, alias: str) -> bool:
        return alias in self.configs

    def set(self, alias: str, wrapper: ChannelLayerWrapper | None) -> ChannelLayerWrapper | None:
        """Use ``wrapper`` for ``alias`` from now on; returns the one used so far.

        None stands for the layer of the settings, made when it is asked for.
        """
        old = self.backends.pop(alias, None)
        if wrapper is not None:
            self.backends[alias] = wrapper
        return old

    def rebuild(self) -> None:
        """Let go of all layers: the next use of each reads the settings again."""
        backends, self.backends = self.backends, {}
        for wrapper in backends.values():
            close = getattr(wrapper.channel_layer, "close", None)
            if close is not None:  # layers of others need not have it
                close()


#: The channel layers of this process.
channel_layers = ChannelLayerManager()


def get_channel_layer(alias: str = DEFAULT_CHANNEL_LAYER) -> BaseChannelLayer:
    """The channel layer ``alias`` itself, with Django set up: for ``asgi.py``.

    Raises as ``ChannelLayerManager.make_backend``.
    """
    django.setup(set_prefix=False)
    return channel_layers[alias].channel_layer


def rebuild_on_change(*, setting: str, **kwargs: Any) -> None:
    """Receiver of ``setting_changed``: new CHANNEL_LAYERS mean new layers."""
    if setting == "CHANNEL_LAYERS":
        channel_layers.rebuild()


# One entry of the setting -----------------------------------------------------------------


def load_layer_class(alias: str, entry: Mapping[str, Any]) -> type[BaseChannelLayer]:
    """The class that BACKEND names, or ``InvalidChannelLayerError``."""
    path = entry.get("BACKEND")
    where = f"CHANNEL_LAYERS[{alias!r}]"
    if not isinstance(path, str) or not path:
        raise InvalidChannelLayerError(
            f"{where} has no BACKEND: name the class of a layer, such as {_REDIS!r}"
        )
    if path in REPLACED_BACKENDS:
        raise InvalidChannelLayerError(
            f"{where}: BACKEND {path!r} is the layer of another package: "
            f"use {REPLACED_BACKENDS[path]!r}"
        )
    try:
        layer_class = import_string(path)
    except ImportError as error:
        raise InvalidChannelLayerError(
            f"{where}: cannot import the BACKEND {path!r}: {error}"
        ) from error
    if not isinstance(layer_class, type):
        raise InvalidChannelLayerError(f"{where}: BACKEND {path!r} is not a class: name a layer's")
    return layer_class


def is_local_only(layer_class: type) -> bool:
    """Whether layers of this class carry messages within one process alone.

    Ours say so themselves; those of others were known by their module in Channels 1.
    """
    return bool(getattr(layer_class, "local_only", "inmemory" in layer_class.__module__))


def build_layer(
    layer_class: type[BaseChannelLayer],
    alias: str,
    entry: Mapping[str, Any],
    options_key: str = "CONFIG",
) -> BaseChannelLayer:
    """A layer with the options under ``options_key``, or ``InvalidChannelLayerError``."""
    where = f"CHANNEL_LAYERS[{alias!r}][{options_key!r}]"
    options = entry.get(options_key) or {}
    if not isinstance(options, Mapping):
        raise InvalidChannelLayerError(
            f"{where} must be a dict of options, not a {type(options).__name__}"
        )
    try:
        return layer_class(**options)
    except (TypeError, ValueError) as error:
        reason = _reason(layer_class, error)
        raise InvalidChannelLayerError(f"{where} does not suit its layer: {reason}") from error


def _entry(configs: Mapping[str, Any], alias: str) -> Mapping[str, Any]:
    entry = configs[alias]
    if not isinstance(entry, Mapping):
        raise InvalidChannelLayerError(
            f"CHANNEL_LAYERS[{alias!r}] must be a dict, not a {type(entry).__name__}"
        )
    return entry


def _reason(layer_class: type[BaseChannelLayer], error: Exception) -> str:
    """What ``error`` says; for an unknown option also which ones there are."""
    unknown = re.search(r"unexpected keyword argument '(\w+)'", str(error))
    if not unknown:
        return str(error)
    name, options = unknown[1], _options(layer_class)
    close = difflib.get_close_matches(name, options, n=1)
    advice = f"did you mean {close[0]!r}?" if close else f"it takes {', '.join(options)}"
    return f"{name_that_thing(layer_class)} has no option {name!r}; {advice}"


def _options(layer_class: type) -> list[str]:
    """The arguments of the constructors of the class and of those it is derived from."""
    constructors = [vars(cls).get("__init__") for cls in layer_class.__mro__]
    codes = [init.__code__ for init in constructors if inspect.isfunction(init)]
    return sorted(
        {
            name
            for code in codes
            for name in code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]
        }
    )
