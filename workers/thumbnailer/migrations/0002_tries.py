"""How often a photograph was tried, what is made now, and when it is tried again."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("thumbnailer", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="photo",
            name="attempt",
            field=models.PositiveSmallIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="photo",
            name="making",
            field=models.CharField(blank=True, max_length=10),
        ),
        migrations.AddField(
            model_name="photo",
            name="next_try",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AlterField(
            model_name="photo",
            name="status",
            field=models.CharField(
                choices=[
                    ("waiting", "waiting for a worker"),
                    ("working", "being worked on"),
                    ("paused", "to be tried again"),
                    ("ready", "ready"),
                    ("failed", "given up"),
                    ("refused", "nothing that can be worked on"),
                ],
                default="waiting",
                max_length=10,
            ),
        ),
    ]
