"""Photographs, how far they have come, and their thumbnails."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.files.base import ContentFile
from django.db import models
from django.urls import reverse
from django.utils import timezone

from channels_classic import Group
from thumbnailer.images import SIZES, MadeThumbnail


def original_path(photo: Photo, filename: str) -> str:
    """Where the upload is kept: the name its owner gave it plays no part."""
    return f"photos/{photo.pk.hex}/original"


def thumbnail_path(thumbnail: Thumbnail, filename: str) -> str:
    """Where a thumbnail is kept: beside its original."""
    return f"photos/{thumbnail.photo_id.hex}/{thumbnail.size}.jpg"


class Photo(models.Model):
    """One uploaded photograph. Whoever knows its id may see it."""

    class Status(models.TextChoices):
        """How far it has come."""

        WAITING = "waiting", "waiting for a worker"
        WORKING = "working", "being worked on"
        PAUSED = "paused", "to be tried again"
        READY = "ready", "ready"
        FAILED = "failed", "given up"
        REFUSED = "refused", "nothing that can be worked on"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    original = models.FileField(upload_to=original_path)
    status = models.CharField(max_length=10, choices=Status, default=Status.WAITING)
    error = models.CharField(max_length=200, blank=True)
    attempt = models.PositiveSmallIntegerField(default=0)
    making = models.CharField(max_length=10, blank=True)
    next_try = models.DateTimeField(null=True, blank=True)
    changes = models.PositiveIntegerField(default=0, editable=False)
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created"]

    def __str__(self) -> str:
        return f"{self.pk} ({self.get_status_display()})"

    def get_absolute_url(self) -> str:
        """The page that shows it; its socket has the same path."""
        return reverse("thumbnailer:photo", args=[self.pk])

    @property
    def group(self) -> Group:
        """The sockets of everybody who looks at this photograph."""
        return Group(f"thumbnails.{self.pk.hex}")

    @property
    def is_over(self) -> bool:
        """Whether no worker will do anything more about it by itself."""
        return self.status in (self.Status.READY, self.Status.FAILED, self.Status.REFUSED)

    def begin(self, attempt: int) -> None:
        """A worker has it in hand, for the ``attempt``-th time."""
        self._mark(status=self.Status.WORKING, error="", attempt=attempt, next_try=None)

    def make(self, size: str) -> None:
        """This size is being made now."""
        self._mark(making=size)

    def pause(self, error: str, seconds: float) -> None:
        """It went wrong, and is tried again in so many seconds."""
        next_try = timezone.now() + timedelta(seconds=seconds)
        self._mark(status=self.Status.PAUSED, error=error, making="", next_try=next_try)

    def end(self, status: Status, error: str = "") -> None:
        """It is ready, or has failed for good."""
        self._mark(status=status, error=error, making="", next_try=None)

    def wait_again(self) -> bool:
        """From failed to waiting; False when somebody else was faster."""
        failed = models.Q(status=self.Status.FAILED)
        return self._mark(failed, status=self.Status.WAITING, error="", attempt=0)

    def _mark(self, *conditions: models.Q, **fields: Any) -> bool:
        """Where they hold, which is the answer. Counted by the database: two workers may mark."""
        found = Photo.objects.filter(*conditions, pk=self.pk)
        changed = found.update(changes=models.F("changes") + 1, **fields)
        self.refresh_from_db()
        return bool(changed)

    def keep(self, made: MadeThumbnail) -> None:
        """Store a thumbnail; one made again takes the place of the first."""
        thumbnail = self.thumbnails.filter(size=made.size).first()
        if thumbnail is None:
            thumbnail = Thumbnail(photo=self, size=made.size)
        else:
            thumbnail.image.delete(save=False)
        thumbnail.width, thumbnail.height = made.width, made.height
        thumbnail.image.save("", ContentFile(made.jpeg), save=False)
        thumbnail.save()

    def state(self) -> dict[str, Any]:
        """All that the page shows of it, as JSON can carry it.

        A state may be read before another and sent after it: the higher ``changes`` is the later.
        """
        ready = {thumbnail.size: thumbnail for thumbnail in self.thumbnails.all()}
        return {
            "changes": self.changes,
            "status": self.status,
            "error": self.error,
            "attempt": self.attempt,
            "attempts": settings.THUMBNAILER_ATTEMPTS,
            "making": self.making,
            "wait": self._seconds_to_wait(),
            "thumbnails": [ready[size].state() for size in SIZES if size in ready],
        }

    def missing(self) -> list[str]:
        """The sizes that are not made yet, smallest first."""
        ready = set(self.thumbnails.values_list("size", flat=True))
        return [size for size in SIZES if size not in ready]

    def show(self) -> None:
        """To all who look at it, now: otherwise what a consumer sends waits for its end."""
        self.group.send({"text": json.dumps(self.state())}, immediately=True)

    def _seconds_to_wait(self) -> float:
        """Not the time of the next try: the browser's clock may be another."""
        if self.next_try is None:
            return 0
        return max(0, round((self.next_try - timezone.now()).total_seconds(), 1))


class Thumbnail(models.Model):
    """One size of a photograph."""

    photo = models.ForeignKey(Photo, on_delete=models.CASCADE, related_name="thumbnails")
    size = models.CharField(max_length=10)
    image = models.FileField(upload_to=thumbnail_path)
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["photo", "size"], name="one_thumbnail_of_each_size")
        ]

    def __str__(self) -> str:
        return f"{self.size}, {self.width} × {self.height}"

    def get_absolute_url(self) -> str:
        """The JPEG itself."""
        return reverse("thumbnailer:thumbnail", args=[self.photo_id, self.size])

    def state(self) -> dict[str, Any]:
        """What the page shows of it."""
        return {
            "size": self.size,
            "width": self.width,
            "height": self.height,
            "url": self.get_absolute_url(),
        }
