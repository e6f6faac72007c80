"""Notifications in Django's admin: whoever adds one there sends it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from notifications.models import Notification
from notifications.notify import notify


@admin.register(Notification)
class NotificationAdmin(admin.ModelAdmin):
    """All notifications, newest first."""

    list_display = ["user", "level", "text", "created", "seen"]
    list_filter = ["level"]
    fields = ["user", "level", "text"]
    autocomplete_fields = ["user"]

    def save_model(self, request: HttpRequest, obj: Notification, *args: Any) -> None:
        """Send it."""
        obj.pk = notify(obj.user, obj.text, obj.level).pk

    def has_change_permission(self, request: HttpRequest, obj: Notification | None = None) -> bool:
        """What was sent is sent."""
        return False
