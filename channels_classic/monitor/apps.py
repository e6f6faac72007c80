"""The Django app: worker processes send frames and record the history; nothing else happens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.apps import AppConfig
from django.core.checks import register

from channels_classic.monitor.checks import check_limits
from channels_classic.monitor.lookers import LABEL, Lookers
from channels_classic.monitor.pusher import Pusher
from channels_classic.signals import worker_beat

if TYPE_CHECKING:
    from channels_classic.asgi import ChannelLayerWrapper


class MonitorConfig(AppConfig):
    """``INSTALLED_APPS += ["channels_classic.monitor"]``, its URLs, and its routing."""

    name = "channels_classic.monitor"
    label = LABEL
    verbose_name = "Live operations"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Hear of the beats of workers, and check the limits."""
        register(check_limits, "channels_classic")
        self.lookers = Lookers()
        self._pusher = Pusher(self.lookers)
        worker_beat.connect(self.on_beat)

    def on_beat(self, *, layer: ChannelLayerWrapper, **kwargs: Any) -> None:
        """Receiver of ``worker_beat`` for as long as the app is installed, in tests too."""
        self._pusher.on_beat(layer=layer)
