"""The permission to act on dead letters; no table."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models
from django.db.migrations.operations.base import Operation


class Migration(migrations.Migration):
    """Made by ``makemigrations``."""

    initial = True
    dependencies: ClassVar[list[tuple[str, str]]] = []
    operations: ClassVar[list[Operation]] = [
        migrations.CreateModel(
            name="DeadLetter",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
            ],
            options={
                "verbose_name": "live page",
                "verbose_name_plural": "live page",
                "permissions": (("change_deadletter", "Can requeue and delete dead letters"),),
                "managed": False,
                "default_permissions": (),
            },
        ),
    ]
