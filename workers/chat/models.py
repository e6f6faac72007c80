"""Rooms and what was said in them.

The lines of a room are numbered without gaps, so a page knows what it has: it asks for what came
after, and sees when something is missing in between.
"""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.db import models, transaction
from django.urls import reverse

from channels_classic import Group

#: The group of the pages that list the rooms.
LISTS = "chat.rooms"


def refresh_lists() -> None:
    """Have the pages that list the rooms draw them again, once what has changed is stored."""
    Group(LISTS).send({"text": "changed"}, on_commit=True)


class Room(models.Model):
    """A place to talk, open to all."""

    name = models.CharField(max_length=40)
    slug = models.SlugField(max_length=40, unique=True, allow_unicode=True)
    newest = models.PositiveIntegerField("number of the newest line", default=0, editable=False)

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """The page of the room; its socket has the same address."""
        return reverse("chat:room", args=[self.slug])

    @property
    def group(self) -> Group:
        """Every page that shows the room."""
        return Group(f"chat.{self.pk}")

    @transaction.atomic
    def say(self, author: AbstractUser, text: str, token: UUID) -> Line:
        """Store a line, and show it to the room once it is stored for good.

        A page that does not know whether its line has arrived sends it again, with the same
        ``token``: it is stored once, and shown again to those who have missed it.
        """
        # Whoever holds the row speaks: so numbers are committed in their order.
        room = Room.objects.select_for_update().get(pk=self.pk)
        line, is_new = Line.objects.get_or_create(
            author=author,
            token=token,
            defaults={"room": room, "number": room.newest + 1, "text": text},
        )
        if is_new:
            room.newest = line.number
            room.save(update_fields=["newest"])
        self.group.send({"text": json.dumps({"line": line.state()})}, on_commit=True)
        return line

    def history(self, after: int | None = None) -> tuple[list[Line], int]:
        """The lines after a number, or the latest ones; and up to which number that is all.

        There are at most ``CHAT_HISTORY`` of them: whoever was away for more asks again.
        """
        lines = self.lines.select_related("author").filter(number__lte=self.newest)
        if after is None:
            latest = lines.order_by("-number")[: settings.CHAT_HISTORY]
            return list(reversed(latest)), self.newest
        found = list(lines.filter(number__gt=after)[: settings.CHAT_HISTORY])
        is_all = len(found) < settings.CHAT_HISTORY
        return found, self.newest if is_all else found[-1].number


class Line(models.Model):
    """What somebody said."""

    room = models.ForeignKey(Room, on_delete=models.CASCADE, related_name="lines")
    number = models.PositiveIntegerField()
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    text = models.TextField()
    token = models.UUIDField()
    said = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(fields=["room", "number"], name="one_line_of_each_number"),
            models.UniqueConstraint(fields=["author", "token"], name="one_line_of_each_token"),
        ]

    def __str__(self) -> str:
        return f"{self.author}: {self.text:.60}"

    def state(self) -> dict[str, Any]:
        """What pages show of it, as JSON can carry it."""
        return {
            "number": self.number,
            "author": {"id": self.author_id, "name": self.author.get_username()},
            "text": self.text,
            "token": self.token.hex,
            "said": self.said.isoformat(),
        }
