"""What a command is pointed at: MODULE:ATTRIBUTE to an object, or one line that says why not."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click
from django.core.exceptions import ImproperlyConfigured

from channels_classic.asgi import ChannelLayerWrapper, channel_layers, is_local_only
from channels_classic.exceptions import ChannelsError
from channels_classic.layers.base import BaseChannelLayer
from channels_classic.log import setup_logger
from channels_classic.utils import name_that_thing

logger = logging.getLogger("channels_classic.cli")

#: What commands say on stderr; the option sets it up, and is no argument of theirs.
verbosity_option = click.option(
    "-v",
    "--verbosity",
    type=click.IntRange(0, 2),
    default=1,
    help="2 shows where an import failed.",
    callback=lambda context, option, value: setup_logger("channels_classic.cli", value),
    expose_value=False,
    is_eager=True,
)


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


@contextmanager
def layer_of_site(target: Any, path: str, *, what: str) -> Iterator[BaseChannelLayer]:
    """``layer_of``, closed in the end; ``ClickException`` for one that is in another process.

    ``what`` is in that process, as in "its dead letters are".
    """
    layer = layer_of(target, path)
    if is_local_only(type(layer)):
        raise click.ClickException(
            f"{name_that_thing(layer)} carries messages within one process: {what} "
            "in that process, and end with it"
        )
    try:
        yield layer
    finally:
        layer.close()


def wrapper_of(layer: BaseChannelLayer) -> ChannelLayerWrapper:
    """``layer`` with the project's own routing, or without any if nobody has loaded it."""
    for wrapper in channel_layers.backends.values():
        if wrapper.channel_layer is layer:
            return wrapper
    return ChannelLayerWrapper(layer, name_that_thing(layer), [])


def plain_table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The lines of a table whose first column is a name, and the others numbers."""
    name_width, *widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *cells in rows:
        numbers = (cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
        yield "  ".join((name.ljust(name_width), *numbers))


def _reason(error: Exception) -> str:
    """What an import failed with; where, the log says with ``-v 2``."""
    if isinstance(error, (ImportError, ImproperlyConfigured, ChannelsError)):
        return str(error)
    text = error.args[0] if isinstance(error, KeyError) and error.args else error
    return f"{type(error).__name__}: {text} (-v 2 shows where)"
