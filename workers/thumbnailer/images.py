"""Pictures in, JPEG thumbnails out: pure work on files, with a clear error for each bad one."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import IO, NamedTuple

from PIL import Image, ImageOps, UnidentifiedImageError

#: Name to the longest side in pixels, smallest first: that is the order of making, too.
SIZES = {"small": 160, "medium": 480, "large": 1200}
#: What we let Pillow read: its rarer formats are for trusted files.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF")

_BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)
# What Pillow's readers are known to raise when the data is cut off or makes no sense.
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error)


class BadImage(Exception):
    """The file cannot be made into thumbnails; the text says why, for its owner to read."""


class DamagedImage(BadImage):
    """Part of the file is missing or broken. It may be on its way still: worth another try."""


class MadeThumbnail(NamedTuple):
    """One finished thumbnail."""

    size: str
    width: int
    height: int
    jpeg: bytes


def read_picture(file: IO[bytes], *, max_pixels: int) -> Image.Image:
    """The picture in RGB, upright, and no larger than the largest size. Raises ``BadImage``."""
    side = max(SIZES.values())
    try:
        with _open(file, max_pixels) as picture:
            picture.thumbnail((side, side))  # lets a JPEG be decoded at a fraction of its size
            return _opaque(ImageOps.exif_transpose(picture))
    except _BOMBS:
        raise _too_many_pixels(max_pixels) from None
    except _BROKEN as error:
        raise DamagedImage(
            "The picture is damaged: part of the file is missing or broken."
        ) from error


def make_thumbnail(picture: Image.Image, size: str) -> MadeThumbnail:
    """One of ``SIZES`` of what ``read_picture`` gave; a small picture is not blown up."""
    copy = picture.copy()
    copy.thumbnail((SIZES[size], SIZES[size]))
    return MadeThumbnail(size, copy.width, copy.height, _jpeg(copy))


def _open(file: IO[bytes], max_pixels: int) -> Image.Image:
    """The picture with its head read and nothing decoded yet."""
    try:
        picture = Image.open(file, formats=FORMATS)
    except UnidentifiedImageError:
        raise BadImage(
            "This file is not a picture we can read. Send a JPEG, PNG, WebP or GIF."
        ) from None
    if picture.width * picture.height > max_pixels:
        raise _too_many_pixels(max_pixels)
    return picture


def _opaque(picture: Image.Image) -> Image.Image:
    """The picture in RGB: what is transparent becomes white, a colour profile that fits stays."""
    if picture.has_transparency_data:
        layered = picture.convert("RGBA")
        paper = Image.new("RGBA", layered.size, "white")
        return Image.alpha_composite(paper, layered).convert("RGB")
    if picture.mode == "RGB":
        return picture
    if picture.mode.startswith("I"):  # 16 bits of grey: convert() alone would cut, not scale
        picture = picture.convert("I").point(lambda shade: shade * (1 / 256)).convert("L")
    picture.info.pop("icc_profile", None)  # it describes the mode we leave
    return picture.convert("RGB")


def _jpeg(picture: Image.Image) -> bytes:
    """JPEG bytes without the photograph's metadata, which may tell where it was taken."""
    out = BytesIO()
    profile = picture.info.get("icc_profile")
    picture.save(out, "JPEG", quality=85, progressive=True, icc_profile=profile)
    return out.getvalue()


def _too_many_pixels(limit: int) -> BadImage:
    return BadImage(f"The picture has too many pixels: the limit is {limit // 1_000_000} million.")
