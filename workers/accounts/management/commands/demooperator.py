"""``manage.py demooperator``: somebody of the staff to look at the live page with, for one demo."""

from __future__ import annotations

import secrets
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from channels_classic import DEFAULT_CHANNEL_LAYER, channel_layers

NAME = "operator"


class Command(BaseCommand):
    """Each start of the demo has a password of its own: an old one opens nothing."""

    help = "Gives the user 'operator', who may do anything, a new random password, and prints it."

    def handle(self, *args: Any, **options: Any) -> None:
        if not (settings.DEBUG and channel_layers[DEFAULT_CHANNEL_LAYER].local_only()):
            raise CommandError(
                "this is for the demo alone, with DEBUG on and the in-memory layer: "
                "elsewhere use manage.py createsuperuser"
            )
        password = secrets.token_urlsafe(9)
        user, _ = get_user_model().objects.update_or_create(
            username=NAME, defaults={"is_staff": True, "is_superuser": True, "is_active": True}
        )
        user.set_password(password)
        user.save()
        self.stdout.write(
            "  /monitor/        what waits, who works and what failed, live: "
            f"log in as {NAME}, password {password}"
        )
