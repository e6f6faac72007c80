"""What workers do for the thumbnailer: make the sizes, and keep the pages that wait up to date."""

from __future__ import annotations

import json
import logging

from django.conf import settings
from django.core.exceptions import ValidationError

from channels_classic import consumer
from channels_classic.exceptions import DenyConnection
from channels_classic.message import Message
from thumbnailer import samples
from thumbnailer.images import BadImage, DamagedImage, make_thumbnail, read_picture
from thumbnailer.models import Photo

log = logging.getLogger(__name__)


def connect(message: Message, photo: str) -> None:
    """Join the photograph's group, then hear what is ready already.

    In this order nothing is missed: what is ready before the state is read is in the state, and
    what comes later comes through the group.
    """
    found = _find(photo)
    if found is None:
        raise DenyConnection
    found.group.add(message.reply_channel)
    message.reply_channel.send({"accept": True})
    found.refresh_from_db()
    message.reply_channel.send({"text": json.dumps(found.state())})


def disconnect(message: Message, photo: str) -> None:
    """Leave the group."""
    found = _find(photo)
    if found is not None:
        found.group.discard(message.reply_channel)


def pause(attempts: int) -> float:
    """Seconds between a try that failed and the next one, after so many: each twice the last."""
    return float(settings.THUMBNAILER_PAUSE * 2 ** (attempts - 1))


@consumer(max_attempts=settings.THUMBNAILER_ATTEMPTS, backoff=pause, time_limit=60)
def thumbnail(message: Message) -> None:
    """Make the sizes of one photograph and show each as soon as it is there.

    What may be better next time is raised, so that the message is tried again and ends in the
    dead letters; what stays as it is is told once.
    """
    photo = _find(message["photo"])
    if photo is None:
        log.warning("photo %s is gone, nothing to do", message["photo"])
        return
    photo.begin(message.get("__retries__", 0) + 1)
    photo.show()
    try:
        _make_all(photo)
    except Exception as error:
        if isinstance(error, BadImage) and not isinstance(error, DamagedImage):
            photo.end(Photo.Status.REFUSED, str(error))
            return
        _put_off(photo, _reason(error), is_last=message.__doomed__)
        raise
    else:
        photo.end(Photo.Status.READY)
    finally:
        photo.show()


def late(message: Message) -> None:
    """Put a file in its place that a sample has promised: see ``samples``."""
    photo = _find(message["photo"])
    if photo is not None:
        samples.deliver(photo)


def _make_all(photo: Photo) -> None:
    """What an earlier try has made is kept: a message may be run twice."""
    with photo.original.open() as file:
        picture = read_picture(file, max_pixels=settings.THUMBNAILER_MAX_PIXELS)
    for size in photo.missing():
        photo.make(size)
        photo.show()
        photo.keep(make_thumbnail(picture, size))
    photo.make("")


def _put_off(photo: Photo, reason: str, *, is_last: bool) -> None:
    if is_last:
        photo.end(Photo.Status.FAILED, reason)
    else:
        photo.pause(reason, pause(photo.attempt))


def _reason(error: Exception) -> str:
    """As the owner may read it; the worker logs what it was."""
    if isinstance(error, BadImage):
        return str(error)
    if isinstance(error, FileNotFoundError):
        return "The file is not there yet."
    return "Something went wrong on our side."


def _find(photo_id: str) -> Photo | None:
    try:
        return Photo.objects.filter(pk=photo_id).first()
    except ValidationError:  # not a UUID
        return None
