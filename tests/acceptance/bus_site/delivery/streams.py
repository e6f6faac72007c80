"""Views whose answers go out part by part, views that take files, and a stream of events."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path

import journal
from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse

from channels_classic import Group
from channels_classic.generic.sse import Event, SSEConsumer, send_event
from channels_classic.message import Message

MIB = b"0123456789abcdef" * 65536
TICK = 0.02


def file(request: HttpRequest) -> HttpResponse:
    """What arrived of a file in a form."""
    journal.write("file", "came")
    sha, length = hashlib.sha256(), 0
    for part in request.FILES["file"].chunks():
        sha.update(part)
        length += len(part)
    return JsonResponse({"length": length, "sha256": sha.hexdigest()})


def many(request: HttpRequest, mib: int) -> StreamingHttpResponse:
    """So many MiB, each written down when it is made."""

    def parts() -> Iterator[bytes]:
        for number in range(mib):
            journal.write("part", "many", number)
            yield MIB

    return StreamingHttpResponse(parts())


def ticks(request: HttpRequest) -> StreamingHttpResponse:
    """Ticks until the client has gone; then it says so."""

    def parts() -> Iterator[bytes]:
        try:
            while True:
                yield b"tick\n"
                time.sleep(TICK)
        finally:
            journal.write("ended", "ticks")

    return StreamingHttpResponse(parts())


def async_ticks(request: HttpRequest) -> StreamingHttpResponse:
    """The same by an asynchronous generator."""

    async def parts() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"tick\n"
                await asyncio.sleep(TICK)
        finally:
            journal.write("ended", "async-ticks")

    return StreamingHttpResponse(parts())


def poll(request: HttpRequest) -> HttpResponse:
    """Waits for news, and keeps no worker meanwhile."""
    Group("polls").add(request.reply_channel)
    journal.write("polls", request.reply_channel)
    raise request.ResponseLater


# News -----------------------------------------------------------------------------------------


def publish(message: Message) -> None:
    """Keep an event, and tell those who listen."""
    topic, number = message["topic"], message["number"]
    with _kept(topic).open("a") as kept:
        kept.write(f"{number}\n")
    send_event(f"news-{topic}", {"number": number}, id=number)
    journal.write("published", topic, number)


class News(SSEConsumer):
    """The events of one topic, from the first on."""

    heartbeat = 0.5
    retry = 0.1

    def connection_groups(self, topic: str) -> list[str]:
        return [f"news-{topic}"]

    def connect(self, message: Message, topic: str) -> None:
        journal.write("listens", message.reply_channel)

    def replay(self, last_event_id: str | None, topic: str) -> Iterable[Event]:
        if _kept(topic).exists():
            for number in map(int, _kept(topic).read_text().split()):
                if number > int(last_event_id or 0):
                    yield Event({"number": number}, id=number)


def _kept(topic: str) -> Path:
    return Path(f"{settings.JOURNAL}-{topic}")


file.csrf_exempt = True
