"""The app's entry in Django's list."""

from __future__ import annotations

from django.apps import AppConfig

from home.nav import Entry


class ChatConfig(AppConfig):
    """Chat rooms."""

    name = "chat"
    nav = Entry("Chat", "chat:rooms", "Rooms, who is there, and what was said while you were away.")
