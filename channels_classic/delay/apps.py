"""The Django app, and nothing happens at start."""

from __future__ import annotations

from django.apps import AppConfig


class DelayConfig(AppConfig):
    """``INSTALLED_APPS += ["channels_classic.delay"]``, and ``manage.py migrate``."""

    name = "channels_classic.delay"
    label = "channels_classic_delay"
    verbose_name = "Delayed messages"
    default_auto_field = "django.db.models.BigAutoField"
