"""The Django app: what happens when it is loaded, and nothing else happens at start."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.management import get_commands
from django.core.signals import setting_changed

from channels_classic.asgi import rebuild_on_change
from channels_classic.checks import register_checks
from channels_classic.signals import connect_database_receivers


class ChannelsConfig(AppConfig):
    """``INSTALLED_APPS += ["channels_classic"]``, in any position."""

    name = "channels_classic"
    label = "channels_classic"
    verbose_name = "Channels Classic"
    default = True

    def ready(self) -> None:
        """Register the system checks and the signal receivers; take ``runserver`` over."""
        register_checks()
        connect_database_receivers()
        setting_changed.connect(rebuild_on_change)
        # Django lets the first app listed win, and staticfiles, which has a runserver of its own,
        # is listed before us in most projects.
        get_commands()["runserver"] = self.name
