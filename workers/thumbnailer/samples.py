"""Photographs for who has none at hand: a good one, one that is damaged, one that comes late."""

from __future__ import annotations

import math
from functools import cache
from io import BytesIO

from django.conf import settings
from django.core.files.base import ContentFile
from django.db import models
from PIL import Image, ImageDraw

from channels_classic import Channel
from thumbnailer.models import Photo, original_path

WIDTH, HEIGHT = 1800, 1200
DAWN, DUSK, SUN = (250, 208, 160), (64, 112, 176), (255, 246, 224)
#: The line of each range of hills: its height, the width of its waves, its colour.
HILLS = [(720, 240, (112, 128, 152)), (860, 170, (72, 100, 112)), (1010, 130, (36, 62, 64))]
#: When the late one comes, in first pauses: after the second try, before the third.
LATE = 2


class Sample(models.TextChoices):
    """What is to be had."""

    GOOD = "good", "A good one"
    LATE = "late", "One that comes late"
    DAMAGED = "damaged", "A damaged one"


def store(sample: Sample) -> Photo:
    """A photograph of that kind; the late one is a name alone until a worker brings its file."""
    photo = Photo()
    if sample is Sample.LATE:
        photo.original.name = original_path(photo, "")
    else:
        data = jpeg() if sample is Sample.GOOD else jpeg()[: len(jpeg()) // 2]
        photo.original.save("", ContentFile(data), save=False)
    photo.save()
    if sample is Sample.LATE:
        delay = LATE * settings.THUMBNAILER_PAUSE
        Channel("thumbnailer.late").send({"photo": str(photo.pk)}, delay=delay, on_commit=True)
    return photo


def deliver(photo: Photo) -> None:
    """Put the file in its place, unless it is there."""
    storage, name = photo.original.storage, photo.original.name
    if not storage.exists(name):
        storage.save(name, ContentFile(jpeg()))


@cache
def jpeg() -> bytes:
    """A sky at dusk over hills, with the grain of a camera."""
    picture = _sky()
    draw = ImageDraw.Draw(picture)
    for top, bend, colour in HILLS:
        ridge = [(x, top + 70 * math.sin(x / bend + top)) for x in range(0, WIDTH + 10, 10)]
        draw.polygon([*ridge, (WIDTH, HEIGHT), (0, HEIGHT)], fill=colour)
    grain = Image.effect_noise((WIDTH, HEIGHT), 40).convert("RGB")
    out = BytesIO()
    Image.blend(picture, grain, 0.07).save(out, "JPEG", quality=92)
    return out.getvalue()


def _sky() -> Image.Image:
    shade = Image.linear_gradient("L").resize((WIDTH, HEIGHT))
    dawn, dusk = (Image.new("RGB", (WIDTH, HEIGHT), colour) for colour in (DAWN, DUSK))
    sky = Image.composite(dawn, dusk, shade)
    sun = Image.radial_gradient("L").resize((420, 420)).point(lambda v: max(0, 255 - 2 * v))
    sky.paste(SUN, (1050, 380), sun)
    return sky
