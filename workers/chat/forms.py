"""What comes from people, looked at: the name of a room, and what a socket says."""

from __future__ import annotations

from django import forms
from django.conf import settings
from django.db import transaction
from django.utils.text import slugify

from chat.models import Room, refresh_lists


class RoomForm(forms.Form):
    """The room of a name, new or not."""

    name = forms.CharField(
        max_length=40,
        error_messages={
            "required": "Give the room a name.",
            "max_length": "The name has %(show_value)d characters, and may have %(limit_value)d.",
        },
    )

    def clean(self) -> None:
        """Rooms whose names differ only in case and signs are the same one."""
        self.slug = slugify(self.cleaned_data.get("name", ""), allow_unicode=True)[:40]
        if "name" in self.cleaned_data and not self.slug:
            self.add_error("name", "The name needs a letter or a digit.")

    @transaction.atomic
    def save(self) -> Room:
        """Make the room unless it is there."""
        name = self.cleaned_data["name"]
        room, is_new = Room.objects.get_or_create(slug=self.slug, defaults={"name": name})
        if is_new:
            refresh_lists()
        return room


class LineForm(forms.Form):
    """What somebody wants to say; it is kept as it is, and escaped by the page that shows it."""

    text = forms.CharField(
        max_length=settings.CHAT_MAX_LENGTH,
        error_messages={
            "required": "Write something first.",
            "max_length": "This has %(show_value)d characters, and the limit is %(limit_value)d.",
        },
    )
    token = forms.UUIDField()

    @property
    def problem(self) -> str:
        """The first thing that is wrong."""
        return next(text for texts in self.errors.values() for text in texts)
