"""The only reader of the package's own settings: their names and defaults."""

from __future__ import annotations

import os
from typing import Any

from django.conf import ENVIRONMENT_VARIABLE, settings

DEFAULT_CHANNEL_LAYER = "default"


def channel_layer_configs() -> dict[str, dict[str, Any]]:
    """``CHANNEL_LAYERS``: alias to BACKEND, ROUTING, CONFIG and TEST_CONFIG."""
    return getattr(settings, "CHANNEL_LAYERS", None) or {}


def websocket_protocols() -> list[str]:
    """``CHANNELS_WS_PROTOCOLS``: the subprotocols that ``runserver`` offers."""
    return list(getattr(settings, "CHANNELS_WS_PROTOCOLS", None) or [])


def option(name: str, default: Any) -> Any:
    """``CHANNELS_CLASSIC[name]``, or ``default``."""
    return (getattr(settings, "CHANNELS_CLASSIC", None) or {}).get(name, default)


def server_options() -> dict[str, Any]:
    """``CHANNELS_CLASSIC["SERVER"]``; empty without settings, which a server does not need."""
    if not settings.configured and not os.environ.get(ENVIRONMENT_VARIABLE):
        return {}
    found: dict[str, Any] = option("SERVER", {})
    return found


def channel_session_engine() -> str | None:
    """``CHANNEL_SESSION_ENGINE``: a module of Django's; None for the store on the bus."""
    return getattr(settings, "CHANNEL_SESSION_ENGINE", None)
