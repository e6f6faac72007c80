"""The app's entry in Django's list."""

from __future__ import annotations

from django.apps import AppConfig

from home.nav import Entry


class NotificationsConfig(AppConfig):
    """Notifications."""

    name = "notifications"
    nav = Entry(
        "Notifications",
        "notifications",
        "Live flash messages: in all tabs of a user, and kept until they are seen.",
    )
