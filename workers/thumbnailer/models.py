"""Photographs, how far they have come, and their thumbnails."""

from __future__ import annotations

import uuid
from typing import Any

from django.core.files.base import ContentFile
from django.db import models
from django.urls import reverse

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
        READY = "ready", "ready"
        FAILED = "failed", "failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    original = models.FileField(upload_to=original_path)
    status = models.CharField(max_length=10, choices=Status, default=Status.WAITING)
    error = models.CharField(max_length=200, blank=True)
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

    def mark(self, status: Status, error: str = "") -> None:
        """Store how far it has come."""
        self.status, self.error = status, error
        self.save(update_fields=["status", "error"])

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
        """All that the page shows of it, as JSON can carry it."""
        ready = {thumbnail.size: thumbnail for thumbnail in self.thumbnails.all()}
        return {
            "status": self.status,
            "error": self.error,
            "thumbnails": [ready[size].state() for size in SIZES if size in ready],
        }


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
