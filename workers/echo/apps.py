"""The app's entry in Django's list."""

from __future__ import annotations

from django.apps import AppConfig

from home.nav import Entry


class EchoConfig(AppConfig):
    """The echo; it stores nothing."""

    name = "echo"
    nav = Entry("Echo", "echo", "Type into a WebSocket. A few lines of Python answer.")
