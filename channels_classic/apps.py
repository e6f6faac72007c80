"""The Django app: what happens when it is loaded, and nothing else happens at start."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.signals import setting_changed

from channels_classic.asgi import rebuild_on_change
from channels_classic.binding.base import BindingMetaclass
from channels_classic.binding.discovery import look_before_changes
from channels_classic.checks import register_checks
from channels_classic.hacks import monkeypatch_django
from channels_classic.package_checks import check_all
from channels_classic.signals import connect_database_receivers


class ChannelsConfig(AppConfig):
    """``INSTALLED_APPS += ["channels_classic"]``, in any position."""

    name = "channels_classic"
    label = "channels_classic"
    verbose_name = "Channels Classic"
    default = True

    def ready(self) -> None:
        """Register checks, signal receivers and bindings; take ``runserver`` over.

        Raises ``RuntimeError`` where a package is too old, ``ValueError`` for a wrong binding.
        """
        check_all()
        register_checks()
        connect_database_receivers()
        setting_changed.connect(rebuild_on_change)
        BindingMetaclass.register_all()
        look_before_changes()
        monkeypatch_django()
