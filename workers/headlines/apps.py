"""The app's entry in Django's list."""

from __future__ import annotations

from django.apps import AppConfig

from home.nav import Entry


class HeadlinesConfig(AppConfig):
    """Headlines."""

    name = "headlines"
    nav = Entry(
        "Headlines",
        "headlines:page",
        "Post a line: every browser shows it at once, by server-sent events.",
    )
