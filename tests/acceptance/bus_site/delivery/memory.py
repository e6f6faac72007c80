"""Consumers for clients that do not read and for clients that send too much."""

from __future__ import annotations

import hashlib
import itertools
import time
from collections.abc import Iterator

import journal
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse

from channels_classic import Group
from channels_classic.message import Message

#: What the slow consumer takes for one message, in seconds; what one part of a download holds.
SLOW = 0.001
PART = b"0123456789abcdef" * 4096


def join(message: Message) -> None:
    """Accept the socket and make it a member of the group."""
    message.reply_channel.send({"accept": True})
    Group("listeners").add(message.reply_channel)
    journal.write("joined", message.reply_channel)


def slow(message: Message) -> None:
    """Take some time for each message, and say when there are more to come no longer."""
    time.sleep(SLOW)
    number = message["text"].partition(" ")[0]
    journal.write("ran", message.reply_channel, number)


def digest(request: HttpRequest) -> HttpResponse:
    """What arrived of an upload, read part by part and slowly."""
    sha, length = hashlib.sha256(), 0
    while part := request.read(64 * 1024):
        sha.update(part)
        length += len(part)
        time.sleep(SLOW)
    return JsonResponse({"length": length, "sha256": sha.hexdigest()})


def endless(request: HttpRequest) -> StreamingHttpResponse:
    """Parts until somebody stops it; each is written down."""

    def parts() -> Iterator[bytes]:
        for number in itertools.count():
            journal.write("part", "endless", number)
            yield PART

    return StreamingHttpResponse(parts())


digest.csrf_exempt = True
