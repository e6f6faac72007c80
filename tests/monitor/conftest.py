"""The live page installed in a site on the in-memory layer, and its people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Permission, User

from channels_classic import include
from channels_classic.asgi import ChannelLayerWrapper, channel_layers
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.layers.traffic import Delivery, Reasons
from channels_classic.monitor.lookers import LABEL
from channels_classic.signals import worker_beat

ROUTING = [include("channels_classic.monitor.routing.channel_routing", path=r"^/monitor")]


@pytest.fixture
def wrapper(settings: Any) -> Iterator[ChannelLayerWrapper]:
    """The default layer of a site with the page; there are no beats but those of the test."""
    settings.INSTALLED_APPS = [
        *settings.INSTALLED_APPS,
        "django.contrib.admin",
        "channels_classic.monitor",
    ]
    settings.ROOT_URLCONF = "tests.monitor.urls"
    worker_beat.disconnect(apps.get_app_config(LABEL).on_beat)  # type: ignore[attr-defined]
    made = ChannelLayerWrapper(InMemoryChannelLayer(), "default", ROUTING)
    old = channel_layers.set("default", made)
    yield made
    channel_layers.set("default", old)


@pytest.fixture
def people(db: None, wrapper: ChannelLayerWrapper) -> dict[str, User]:
    """One of each kind."""
    create_permissions(apps.get_app_config(LABEL), verbosity=0)
    made = {
        "boss": User.objects.create_superuser("boss"),
        "keeper": User.objects.create_user("keeper", is_staff=True),
        "clerk": User.objects.create_user("clerk", is_staff=True),
        "guest": User.objects.create_user("guest"),
        "gone": User.objects.create_user("gone", is_staff=True, is_active=False),
    }
    permission = Permission.objects.get(codename="change_deadletter")
    made["keeper"].user_permissions.add(permission)
    # One who may act, but is not of the staff.
    made["guest"].user_permissions.add(permission)
    return made


def bury(wrapper: ChannelLayerWrapper, channel: str = "thumbnails", number: int = 1) -> None:
    """Dead letters on the layer."""
    layer = wrapper.channel_layer
    for each in range(number):
        content = {"photo": each}
        reasons = Reasons(f"ValueError: photo {each}", "Traceback…", "host-1-abc")
        layer.bury(Delivery(channel, content, attempts=2), reasons)
