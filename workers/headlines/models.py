"""Headlines, which are kept: who was away sees them later."""

from __future__ import annotations

from django.db import models
from django.utils.html import format_html

from channels_classic.generic.sse import Event, send_event


class Headline(models.Model):
    """One line of news."""

    text = models.CharField(max_length=200)
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.text

    @property
    def event(self) -> Event:
        """As scripts take it."""
        return Event({"text": self.text}, "headline", self.pk)

    @property
    def html_event(self) -> Event:
        """As htmx puts it into a page."""
        return Event(format_html("<li>{}</li>", self.text), "headline", self.pk)

    def publish(self) -> None:
        """Show it to everybody who looks, once it is stored for good."""
        send_event("headlines", *self.event, on_commit=True)
        send_event("headlines.html", *self.html_event, on_commit=True)
