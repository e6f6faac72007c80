"""Weeks of numbers: the last ones are kept, so that a page has something to show at first."""

from __future__ import annotations

import json
from typing import Any

from django.db import models, transaction

from channels_classic import Group

#: The sockets of everybody who looks at the dashboard.
GROUP = "dashboard"
#: How many weeks are kept.
KEPT = 12


class Week(models.Model):
    """What was pushed at one time."""

    data = models.JSONField()
    pushed = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.pk}: {self.data}"

    @classmethod
    def push(cls, data: list[int]) -> Week:
        """Store a week in the place of the oldest one, and draw it in every browser.

        Browsers hear of it after the commit, so they never show what is not stored.
        """
        with transaction.atomic():
            week = cls.objects.create(data=data)
            old = list(cls.objects.order_by("-pk").values_list("pk", flat=True)[KEPT:])
            cls.objects.filter(pk__in=old).delete()
            Group(GROUP).send({"text": json.dumps({"weeks": [week.state()]})}, on_commit=True)
        return week

    @classmethod
    def kept(cls) -> list[dict[str, Any]]:
        """The states of those that are kept, oldest first."""
        return [week.state() for week in cls.objects.all()]

    def state(self) -> dict[str, Any]:
        """What pages are told: a later week has a higher number."""
        return {"number": self.pk, "data": self.data, "pushed": self.pushed.isoformat()}
