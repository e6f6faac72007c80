"""How often a photograph has changed: of two states the one with the higher count is right."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("thumbnailer", "0002_tries"),
    ]

    operations = [
        migrations.AddField(
            model_name="photo",
            name="changes",
            field=models.PositiveIntegerField(default=0, editable=False),
        ),
    ]
