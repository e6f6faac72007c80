"""No table: what the permission to act on dead letters belongs to, and the entry in the admin."""

from __future__ import annotations

from django.db import models


class DeadLetter(models.Model):
    """Stands for the dead letters, which are on the bus."""

    class Meta:
        managed = False
        app_label = "channels_classic_monitor"
        verbose_name = "live page"
        verbose_name_plural = "live page"
        default_permissions = ()
        permissions = (("change_deadletter", "Can requeue and delete dead letters"),)
