"""Notifications, which are kept: who was away sees them later."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import models
from django.utils import timezone

from channels_classic import Group


def group_of(user: AbstractBaseUser) -> Group:
    """All tabs of a user, on all devices."""
    return Group(f"notifications.{user.pk}")


class Notification(models.Model):
    """A text for one user; ``notify`` makes it."""

    class Level(models.TextChoices):
        INFO = "info"
        SUCCESS = "success"
        WARNING = "warning"
        ERROR = "error"

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notifications"
    )
    text = models.CharField(max_length=500)
    level = models.CharField(max_length=10, choices=Level, default=Level.INFO)
    created = models.DateTimeField(auto_now_add=True)
    seen = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return self.text

    def state(self) -> dict[str, Any]:
        """What pages show of it, as JSON can carry it."""
        return {
            "id": self.pk,
            "text": self.text,
            "level": self.level,
            "created": self.created.isoformat(),
        }


def mark_seen(user: AbstractBaseUser, numbers: Sequence[int]) -> None:
    """These of the user's notifications have been dismissed: so they go in all tabs."""
    found = Notification.objects.filter(user=user, pk__in=numbers, seen=None)
    found.update(seen=timezone.now())
    group_of(user).send({"text": json.dumps({"gone": list(numbers)})}, on_commit=True)
