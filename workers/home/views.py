"""The start page."""

from __future__ import annotations

import os
import socket
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache

from channels_classic import DEFAULT_CHANNEL_LAYER, channel_layers


@never_cache
def home(request: HttpRequest) -> HttpResponse:
    """How the site works, who made this very page, and what is there to try."""
    layer = channel_layers[DEFAULT_CHANNEL_LAYER].channel_layer
    context = {
        "layer": type(layer).__name__,
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "server": server_of(request),
    }
    return render(request, "home/page.html", context)


def server_of(request: Any) -> str:
    """The name of the server process that holds the connection; empty where WSGI brought it.

    The reply channel of a request says it: ``server.reply.<process>!<connection>``.
    """
    reply_channel = getattr(request, "reply_channel", None)
    if reply_channel is None:
        return ""
    process, mark, _ = reply_channel.name.partition("!")
    return f"{process}{mark}"
