"""What a command is pointed at: MODULE:ATTRIBUTE to an object, or one line that says why not."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from typing import Any

import click
from django.core.exceptions import ImproperlyConfigured

from channels_classic.exceptions import ChannelsError
from channels_classic.layers.base import BaseChannelLayer

logger = logging.getLogger("channels_classic.cli")


def load(path: str) -> Any:
    """What is at ``path``, in the current folder or where Python looks; ``ClickException``."""
    module_name, _, attributes = path.partition(":")
    if not module_name or not attributes:
        raise click.UsageError(
            f"{path!r} is not of the form MODULE:ATTRIBUTE, as in project.asgi:channel_layer"
        )
    sys.path.insert(0, os.getcwd())
    try:
        target: Any = importlib.import_module(module_name)
    except Exception as error:
        logger.debug("Cannot import %s", module_name, exc_info=True)
        raise click.ClickException(f"cannot import {module_name}: {_reason(error)}") from error
    for name in attributes.split("."):
        if not hasattr(target, name):
            raise click.ClickException(f"{module_name} has no {attributes!r}: {name!r} is missing")
        target = getattr(target, name)
    return target


def layer_of(target: Any, path: str) -> BaseChannelLayer:
    """The channel layer that ``target``, loaded from ``path``, is or has; ``ClickException``."""
    layer = getattr(target, "channel_layer", target)
    if isinstance(layer, BaseChannelLayer):
        return layer
    raise click.ClickException(
        f"{path} is a {type(target).__name__}, not a channel layer: "
        "in asgi.py write channel_layer = get_channel_layer()"
    )


def _reason(error: Exception) -> str:
    """What an import failed with; where, the log says with ``-v 2``."""
    if isinstance(error, (ImportError, ImproperlyConfigured, ChannelsError)):
        return str(error)
    text = error.args[0] if isinstance(error, KeyError) and error.args else error
    return f"{type(error).__name__}: {text} (-v 2 shows where)"
