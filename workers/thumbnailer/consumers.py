"""What workers do for the thumbnailer: make the sizes, and keep the pages that wait up to date."""

from __future__ import annotations

import json
import logging

from django.conf import settings
from django.core.exceptions import ValidationError

from channels_classic.exceptions import DenyConnection
from channels_classic.message import Message
from thumbnailer.images import BadImage, make_thumbnails
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


def thumbnail(message: Message) -> None:
    """Make the sizes of one photograph and show each as soon as it is there."""
    photo = _find(message.content["photo"])
    if photo is None:
        log.warning("photo %s is gone, nothing to do", message.content["photo"])
        return
    photo.mark(Photo.Status.WORKING)
    try:
        _make_all(photo)
    except BadImage as error:
        photo.mark(Photo.Status.FAILED, str(error))
    except Exception:
        photo.mark(Photo.Status.FAILED, "Something went wrong on our side. Please try again.")
        raise  # the worker logs it
    else:
        photo.mark(Photo.Status.READY)
    finally:
        _show(photo)


def _make_all(photo: Photo) -> None:
    with photo.original.open() as file:
        for made in make_thumbnails(file, max_pixels=settings.THUMBNAILER_MAX_PIXELS):
            photo.keep(made)
            _show(photo)


def _show(photo: Photo) -> None:
    """To all who look at it, now: without ``immediately`` it would wait for the consumer's end."""
    photo.group.send({"text": json.dumps(photo.state())}, immediately=True)


def _find(photo_id: str) -> Photo | None:
    try:
        return Photo.objects.filter(pk=photo_id).first()
    except ValidationError:  # not a UUID
        return None
