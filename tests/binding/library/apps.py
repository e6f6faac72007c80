"""The app, and the bindings that its own code would import when it is ready."""

from __future__ import annotations

from django.apps import AppConfig


class LibraryConfig(AppConfig):
    name = "tests.binding.library"
    label = "library"
    default_auto_field = "django.db.models.BigAutoField"
