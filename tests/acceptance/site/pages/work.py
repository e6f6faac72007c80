"""Work behind the pages: consumers that pass on, try again, give up and fail."""

from __future__ import annotations

import asyncio
from typing import NoReturn

from django.http import HttpRequest, JsonResponse

from channels_classic import Channel, consumer, route
from channels_classic.exceptions import ConsumeLater
from channels_classic.message import Message


def begin(request: HttpRequest) -> JsonResponse:
    """Send a message to the channel that the query names."""
    Channel(f"work.{request.GET['to']}").send({"token": request.GET.get("token", "")})
    return JsonResponse({})


def first(message: Message) -> None:
    """The rest is done a little later."""
    Channel("work.second").send({"token": message["token"]}, delay=0.05)


async def second(message: Message) -> None:
    """What takes its time without a thread."""
    await asyncio.sleep(0.01)


@consumer(max_attempts=3, backoff=0.05)
def flaky(message: Message) -> None:
    """Works when it is tried again."""
    if not message.get("__retries__"):
        raise OSError("not yet")


def later(message: Message) -> None:
    """Asks to be run once more."""
    if not message.get("__retries__"):
        raise ConsumeLater


@consumer(max_attempts=2, backoff=0.05)
def broken(message: Message) -> NoReturn:
    """Never works."""
    raise ValueError("never")


def odd(message: Message) -> None:
    """An answer that no socket can be given."""
    message.reply_channel.send({"nonsense": 1})


def fails(message: Message) -> NoReturn:
    """A consumer with a mistake."""
    raise KeyError("mistake")


routing = [
    route("work.first", first),
    route("work.second", second),
    route("work.flaky", flaky),
    route("work.broken", broken),
    route("work.later", later),
    route("work.choosy", first, token="known"),
    route("websocket.receive", odd, path=r"^/odd/$"),
    route("websocket.receive", fails, path=r"^/fails/$"),
]
