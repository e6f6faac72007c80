"""The app's entry in Django's list."""

from __future__ import annotations

from django.apps import AppConfig


class EchoConfig(AppConfig):
    """The echo; it stores nothing."""

    name = "echo"
