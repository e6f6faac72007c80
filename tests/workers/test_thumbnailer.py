"""The maker of thumbnails: real pictures of every kind, and bad files of every kind."""

from __future__ import annotations

import struct
import zlib
from importlib import import_module
from io import BytesIO
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

MAX_PIXELS = 2_000_000


@pytest.fixture
def images(workers_on_path: None) -> ModuleType:
    return import_module("thumbnailer.images")


def picture_file(image: Image.Image, kind: str, **options: object) -> BytesIO:
    file = BytesIO()
    image.save(file, kind, **options)
    file.seek(0)
    return file


def gradient(width: int = 800, height: int = 600) -> Image.Image:
    return Image.linear_gradient("L").resize((width, height)).convert("RGB")


def made_of(images: ModuleType, file: BytesIO, max_pixels: int = MAX_PIXELS) -> list[Any]:
    picture = images.read_picture(file, max_pixels=max_pixels)
    return [images.make_thumbnail(picture, size) for size in images.SIZES]


def make(images: ModuleType, file: BytesIO) -> list[Image.Image]:
    made = made_of(images, file)
    pictures = [Image.open(BytesIO(thumbnail.jpeg)) for thumbnail in made]
    for thumbnail, picture in zip(made, pictures, strict=True):
        assert (thumbnail.width, thumbnail.height) == picture.size
        assert (picture.format, picture.mode) == ("JPEG", "RGB")
    return pictures


def refusal(images: ModuleType, data: bytes) -> str:
    with pytest.raises(images.BadImage) as caught:
        images.read_picture(BytesIO(data), max_pixels=MAX_PIXELS)
    may_be_better_later = isinstance(caught.value, images.DamagedImage)
    assert may_be_better_later == ("damaged" in str(caught.value))
    return str(caught.value)


def png_that_claims(width: int, height: int) -> bytes:
    """A few bytes that say they are a picture of that many pixels."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 0) + b"IDAT\x35\xaf\x06\x1e"


def test_three_sizes_are_made_smallest_first(images):
    made = made_of(images, picture_file(gradient(1600, 1200), "JPEG"), max_pixels=10**7)
    assert [(m.size, m.width, m.height) for m in made] == [
        ("small", 160, 120),
        ("medium", 480, 360),
        ("large", 1200, 900),
    ]


def test_a_small_picture_is_not_blown_up(images):
    assert [p.size for p in make(images, picture_file(gradient(200, 100), "JPEG"))] == [
        (160, 80),
        (200, 100),
        (200, 100),
    ]


def test_a_picture_one_pixel_high_stays_one_pixel_high(images):
    pictures = make(images, picture_file(gradient(1500, 1), "PNG"))
    assert [p.size for p in pictures] == [(160, 1), (480, 1), (1200, 1)]


def test_a_photograph_taken_sideways_comes_out_upright(images):
    image = Image.new("RGB", (400, 300), "blue")
    image.paste("red", (0, 0, 200, 300))  # red is left as stored; orientation 6 turns it to the top
    exif = Image.Exif()
    exif[0x0112] = 6
    small = make(images, picture_file(image, "JPEG", exif=exif))[0]
    assert small.size == (120, 160)
    red, _, blue = small.getpixel((60, 20))
    assert red > 200 > 100 > blue


def test_where_a_photograph_was_taken_is_not_passed_on(images):
    exif = Image.Exif()
    exif[0x010F] = "maker"
    exif.get_ifd(0x8825)[1] = "N"
    for picture in make(images, picture_file(gradient(), "JPEG", exif=exif)):
        assert not picture.getexif()


def test_what_is_transparent_becomes_white(images):
    small = make(images, picture_file(Image.new("RGBA", (50, 50), (0, 0, 0, 0)), "PNG"))[0]
    assert small.getpixel((25, 25)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("1", "PNG"),
        ("L", "JPEG"),
        ("LA", "PNG"),
        ("P", "PNG"),
        ("P", "GIF"),
        ("RGBA", "PNG"),
        ("RGBA", "WEBP"),
        ("CMYK", "JPEG"),
        ("I;16", "PNG"),
    ],
)
def test_every_mode_of_picture_becomes_a_jpeg(images, mode, kind):
    assert len(make(images, picture_file(gradient().convert(mode), kind))) == 3


def test_a_sixteen_bit_picture_keeps_its_shades(images):
    grey = Image.new("I;16", (500, 500), 0x8000)
    red, green, blue = make(images, picture_file(grey, "PNG"))[0].getpixel((25, 25))
    assert red == green == blue
    assert 120 < red < 136


def test_a_palette_with_a_transparent_colour_becomes_white_there(images):
    image = Image.new("P", (50, 50), 0)
    image.putpalette([0, 0, 0, 255, 0, 0])
    small = make(images, picture_file(image, "GIF", transparency=0))[0]
    assert small.getpixel((25, 25)) == (255, 255, 255)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"Dear diary, today I was renamed to holiday.jpg\n",
        b"\xff\xd8\xff",
        b"GIF89a",
        b"%PDF-1.7\n",
    ],
    ids=["nothing", "text", "jpeg's first bytes", "gif's first bytes", "pdf"],
)
def test_a_file_that_is_no_picture_is_refused(images, data):
    assert "not a picture" in refusal(images, data)


def test_a_format_for_trusted_files_only_is_refused(images):
    assert "not a picture" in refusal(images, picture_file(gradient(), "EPS").read())


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
@pytest.mark.parametrize("part", [0.3, 0.6, 0.95])
def test_a_picture_cut_off_is_refused(images, kind, part):
    noise = Image.effect_noise((400, 300), 60).convert("RGB")
    data = picture_file(noise, kind).read()
    assert "damaged" in refusal(images, data[: int(len(data) * part)])


def test_a_picture_with_broken_insides_is_refused(images):
    data = bytearray(picture_file(Image.effect_noise((400, 300), 60), "PNG").read())
    data[200:400] = b"\x00" * 200
    assert "damaged" in refusal(images, bytes(data))


@pytest.mark.parametrize(
    "side", [1500, 10_000, 15_000, 60_000], ids=["ours", "warned", "refused", "absurd"]
)
def test_a_picture_with_too_many_pixels_is_refused_before_it_is_read(images, side):
    assert refusal(images, png_that_claims(side, side)) == (
        "The picture has too many pixels: the limit is 2 million."
    )


def test_a_picture_without_any_pixels_is_refused(images):
    assert refusal(images, png_that_claims(0, 0))
