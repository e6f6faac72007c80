"""The app's entry in Django's list."""

from __future__ import annotations

from django.apps import AppConfig

from home.nav import Entry


class ThumbnailerConfig(AppConfig):
    """Photographs and their thumbnails."""

    name = "thumbnailer"
    nav = Entry(
        "Thumbnails",
        "thumbnailer:upload",
        "Upload a photograph. A worker makes three sizes while you watch, and tries again "
        "what goes wrong.",
    )
