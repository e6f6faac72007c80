"""The app's entry in Django's list."""

from __future__ import annotations

from django.apps import AppConfig


class HeadlinesConfig(AppConfig):
    """Headlines."""

    name = "headlines"
