"""Rooms and lines in Django's admin: to look at and to delete."""

from __future__ import annotations

from django.contrib import admin

from chat.models import Line, Room


@admin.register(Room)
class RoomAdmin(admin.ModelAdmin):
    """The rooms."""

    list_display = ["name", "slug", "newest"]
    prepopulated_fields = {"slug": ["name"]}


@admin.register(Line)
class LineAdmin(admin.ModelAdmin):
    """What was said; pages that show it already keep it until they are loaded again."""

    list_display = ["room", "number", "author", "text", "said"]
    list_filter = ["room"]

    def has_add_permission(self, request: object) -> bool:
        """What is said comes through sockets, which number it."""
        return False

    def has_change_permission(self, request: object, obj: Line | None = None) -> bool:
        """Nobody's words are changed."""
        return False
