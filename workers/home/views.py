"""The start page."""

from __future__ import annotations

import os

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from channels_classic import DEFAULT_CHANNEL_LAYER, channel_layers


def home(request: HttpRequest) -> HttpResponse:
    """What is there to try, the layer in use, and the worker that made this very page."""
    layer = channel_layers[DEFAULT_CHANNEL_LAYER].channel_layer
    return render(
        request, "home/page.html", {"layer": type(layer).__name__, "process": os.getpid()}
    )
