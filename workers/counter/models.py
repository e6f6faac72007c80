"""The counter, which is one row."""

from __future__ import annotations

import json

from django.db import models, transaction
from django.db.models import F

from channels_classic import Group

#: The sockets of everybody who looks at the counter.
GROUP = "counter"
_ONLY = 1


class Counter(models.Model):
    """A number that only rises."""

    value = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return str(self.value)

    @classmethod
    def current(cls) -> int:
        """The stored value; 0 as long as nobody has raised it."""
        return cls.objects.filter(pk=_ONLY).values_list("value", flat=True).first() or 0

    @classmethod
    def increment(cls) -> int:
        """Add one and tell every page; the new value.

        The database does the addition, so none of several at once is lost; and pages hear of it
        after the commit, so they never show what is not stored.
        """
        with transaction.atomic():
            counter, _ = cls.objects.get_or_create(pk=_ONLY)
            cls.objects.filter(pk=_ONLY).update(value=F("value") + 1)
            counter.refresh_from_db()
            Group(GROUP).send({"text": json.dumps({"value": counter.value})}, on_commit=True)
        return counter.value
