"""Finds bindings in processes that need no routing: shells, views under WSGI, cron jobs.

Bindings are mostly defined where the routing leads, which servers and workers import, and others
do not. Yet whoever saves a row changes what people see.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from django.apps import apps
from django.db.models import Model
from django.db.models.signals import pre_delete, pre_init

from channels_classic.asgi import channel_layers
from channels_classic.routing import Router

logger = logging.getLogger("channels_classic.binding")


def look_before_changes() -> None:
    """Import the routing of all channel layers before the first instance of a model is made."""
    pre_init.connect(_look)
    pre_delete.connect(_look)  # else a query could delete rows without an instance


def _look(sender: type[Model], **kwargs: Any) -> None:
    if not apps.ready or sender._meta.apps is not apps:  # a migration's models are not the real
        return
    load_routings()
    pre_init.disconnect(_look)
    pre_delete.disconnect(_look)


def load_routings() -> None:
    """Import them; what is wrong with one is logged, as a row can be saved without."""
    for alias, entry in channel_layers.configs.items():
        if isinstance(entry, Mapping) and "ROUTING" in entry:
            try:
                Router(entry["ROUTING"])
            except Exception:
                logger.exception(
                    "Cannot load the routing of the channel layer %r: the bindings that it leads "
                    "to hear of no change in this process. 'manage.py check' says more.",
                    alias,
                )
