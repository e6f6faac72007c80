"""The one ``Looker`` that a process has for a channel layer, which remembers what it saw."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast
from weakref import WeakKeyDictionary

from django.apps import apps

from channels_classic.monitor.limits import limits
from channels_classic.monitor.looker import Looker

if TYPE_CHECKING:
    from channels_classic.asgi import ChannelLayerWrapper
    from channels_classic.monitor.apps import MonitorConfig

LABEL = "channels_classic_monitor"


class Lookers:
    """Made when they are first asked for."""

    def __init__(self) -> None:
        self._lookers: WeakKeyDictionary[ChannelLayerWrapper, Looker] = WeakKeyDictionary()

    def of(self, layer: ChannelLayerWrapper) -> Looker:
        """The one on ``layer``. Raises ``ImproperlyConfigured`` for limits that cannot be."""
        looker = self._lookers.get(layer)
        if looker is None:
            looker = self._lookers.setdefault(layer, Looker(layer, limits()))
        return looker


def looker_of(layer: ChannelLayerWrapper) -> Looker:
    """The ``Looker`` of this process on ``layer``."""
    return cast("MonitorConfig", apps.get_app_config(LABEL)).lookers.of(layer)
