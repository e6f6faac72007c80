"""Photographs in Django's admin: to look at and to delete."""

from __future__ import annotations

from django.contrib import admin

from thumbnailer.models import Photo, Thumbnail


class ThumbnailInline(admin.TabularInline):
    """The sizes of a photograph."""

    model = Thumbnail
    extra = 0
    fields = readonly_fields = ["size", "width", "height", "image"]
    can_delete = False

    def has_add_permission(self, request: object, obj: Photo | None = None) -> bool:
        """Thumbnails are made by workers alone."""
        return False


@admin.register(Photo)
class PhotoAdmin(admin.ModelAdmin):
    """All photographs, newest first."""

    list_display = ["id", "status", "attempt", "error", "created"]
    list_filter = ["status"]
    readonly_fields = ["id", "original", "status", "error", "attempt", "created"]
    inlines = [ThumbnailInline]

    def has_add_permission(self, request: object) -> bool:
        """Photographs come through the form, which tells a worker."""
        return False
