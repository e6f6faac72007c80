"""The streams of headlines: one for scripts, one for htmx."""

from __future__ import annotations

from collections.abc import Iterable

from channels_classic.generic.sse import Event, SSEConsumer
from headlines.models import Headline

#: How many a new client begins with.
LATEST = 20


class Headlines(SSEConsumer):
    """Each new headline as JSON; a browser that comes back gets what it has missed."""

    groups = ("headlines",)
    retry = 1

    def replay(self, last_event_id: str | None) -> Iterable[Event]:
        return [self.as_event(headline) for headline in self.missed(last_event_id)]

    def missed(self, last_event_id: str | None) -> Iterable[Headline]:
        """What came after ``last_event_id``, or the latest ones."""
        if last_event_id and last_event_id.isdecimal():
            return Headline.objects.filter(pk__gt=int(last_event_id))
        return reversed(Headline.objects.order_by("-pk")[:LATEST])

    def as_event(self, headline: Headline) -> Event:
        """As it is sent."""
        return headline.event


class HtmlHeadlines(Headlines):
    """The same as pieces of HTML."""

    groups = ("headlines.html",)

    def as_event(self, headline: Headline) -> Event:
        return headline.html_event
