"""The example site's views and consumers, on the memory layer and without any process."""

from __future__ import annotations

import json
import re
from importlib import import_module
from io import BytesIO
from types import ModuleType
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from PIL import Image

from channels_classic import channel_layers
from channels_classic.exceptions import DenyConnection, LayerUnavailable
from channels_classic.message import Message

ME = "test.reply.server!me"
PAGES = [
    "/",
    "/echo/",
    "/counter/",
    "/increment/",
    "/dashboard/",
    "/headlines/",
    "/headlines/htmx/",
    "/thumbnails/",
    "/chat/",
    "/notifications/",
]


@pytest.fixture
def consumers(site) -> ModuleType:
    return import_module("thumbnailer.consumers")


@pytest.fixture
def photos(site) -> Any:
    return import_module("thumbnailer.models").Photo.objects


@pytest.fixture
def photo(photos) -> Any:
    return photos.create(original=jpeg())


def jpeg(name: str = "holiday.jpg", content: bytes | None = None) -> SimpleUploadedFile:
    if content is None:
        file = BytesIO()
        Image.new("RGB", (400, 300), "teal").save(file, "JPEG")
        content = file.getvalue()
    return SimpleUploadedFile(name, content, content_type="image/jpeg")


def message(**content: Any) -> Message:
    return Message({"reply_channel": ME, **content}, None, channel_layers["default"])


def told(layer: Any) -> list[dict[str, Any]]:
    """What the socket has been sent, in order."""
    received = iter(lambda: layer.receive(["test.reply.server!"])[1], None)
    return [json.loads(content["text"]) if "text" in content else content for content in received]


# Pages --------------------------------------------------------------------------------------


def test_the_committed_migrations_are_complete(site):
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


@pytest.mark.parametrize("path", [*PAGES, "/admin/"])
def test_every_page_is_there(site, admin_client, path):
    assert admin_client.get(path).status_code == 200


def test_the_start_page_names_the_layer_in_use(site, client):
    assert "InMemoryChannelLayer" in client.get("/").content.decode()


def test_pages_have_no_script_or_style_inside_and_load_nothing_from_elsewhere(
    site, admin_client, photo
):
    for path in [*PAGES, photo.get_absolute_url()]:
        html = admin_client.get(path).content.decode()
        assert "<style" not in html
        assert "style=" not in html
        assert "onclick=" not in html
        assert 'src="http' not in html
        assert 'href="http' not in html


def test_every_file_that_a_page_names_is_there(site, admin_client, photo):
    for path in [*PAGES, photo.get_absolute_url()]:
        html = admin_client.get(path).content.decode()
        for name in re.findall(r'"/static/([^"]+)"', html):
            assert finders.find(name), f"{path} needs {name}: make assets brings those of others"


# Uploading ----------------------------------------------------------------------------------


def test_an_upload_is_stored_and_a_worker_gets_its_id(site, client, photos):
    response = client.post("/thumbnails/", {"photo": jpeg()})
    photo = photos.get()
    assert (response.status_code, response["Location"]) == (302, f"/thumbnails/{photo.pk}/")
    assert site.receive(["thumbnailer"]) == ("thumbnailer", {"photo": str(photo.pk)})
    assert photo.status == "waiting"


def test_the_name_that_a_file_had_plays_no_part_in_where_it_is_kept(site, client, photos):
    client.post("/thumbnails/", {"photo": jpeg(name="../../evil.html")})
    photo = photos.get()
    assert photo.original.name == f"photos/{photo.pk.hex}/original"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({}, "Choose a photograph first."),
        ({"photo": jpeg(content=b"")}, "The file is empty."),
        ({"photo": SimpleUploadedFile("a.txt", b"hello", "text/plain")}, "not a photograph"),
        ({"photo": jpeg(content=b"\xff" * 2000)}, "the limit is 1.0\xa0KB"),
    ],
    ids=["nothing", "empty", "text", "too large"],
)
def test_a_bad_upload_is_answered_with_a_clear_message(site, client, photos, settings, data, text):
    settings.THUMBNAILER_MAX_BYTES = 1024
    response = client.post("/thumbnails/", data)
    assert text in response.content.decode()
    assert not photos.exists()
    assert site.receive(["thumbnailer"]) == (None, None)


def test_when_the_channel_is_full_the_user_is_told_and_the_photo_has_failed(site, client, photos):
    for number in range(site.get_capacity("thumbnailer")):
        site.send("thumbnailer", {"photo": str(number)})
    response = client.post("/thumbnails/", {"photo": jpeg()})
    assert response.status_code == 503
    assert "Please try again in a minute." in response.content.decode()
    assert photos.get().status == "failed"


def test_when_the_layer_is_away_the_user_is_told(site, client, photos, monkeypatch):
    def deliver(*args: Any) -> None:
        raise LayerUnavailable

    monkeypatch.setattr(site, "deliver", deliver)
    assert client.post("/thumbnails/", {"photo": jpeg()}).status_code == 503
    assert photos.get().status == "failed"


# Working ------------------------------------------------------------------------------------


def test_a_worker_makes_the_sizes_and_shows_each_to_the_group(site, consumers, photo):
    photo.group.add(ME)
    consumers.thumbnail(message(photo=str(photo.pk)))
    states = told(site)
    assert [(state["making"], len(state["thumbnails"])) for state in states] == [
        ("", 0),
        ("small", 0),
        ("medium", 1),
        ("large", 2),
        ("", 3),
    ]
    assert [state["status"] for state in states] == ["working"] * 4 + ["ready"]
    assert [t["size"] for t in states[-1]["thumbnails"]] == ["small", "medium", "large"]
    assert [t["width"] for t in states[-1]["thumbnails"]] == [160, 400, 400]


def test_a_photo_that_is_worked_on_twice_has_each_size_once(site, consumers, photo):
    for _ in range(2):
        consumers.thumbnail(message(photo=str(photo.pk)))
    names = sorted(thumbnail.image.name for thumbnail in photo.thumbnails.all())
    folder = f"photos/{photo.pk.hex}"
    assert names == [f"{folder}/{size}.jpg" for size in ["large", "medium", "small"]]
    assert len(photo.original.storage.listdir(folder)[1]) == 4


def test_a_bad_image_fails_with_its_message_shown(site, consumers, photos):
    photo = photos.create(original=jpeg(content=b"Dear diary"))
    photo.group.add(ME)
    consumers.thumbnail(message(photo=str(photo.pk)))
    state = told(site)[-1]
    assert (state["status"], state["thumbnails"]) == ("refused", [])
    assert "not a picture" in state["error"]


@pytest.mark.parametrize(
    ("error", "text"),
    [(FileNotFoundError, "not there yet"), (RuntimeError, "wrong on our side")],
)
def test_an_error_of_ours_is_told_to_the_user_and_left_to_the_worker(
    site, consumers, photo, monkeypatch, error, text
):
    def fail(*args: Any, **kwargs: Any) -> None:
        raise error

    monkeypatch.setattr(consumers, "read_picture", fail)
    photo.group.add(ME)
    with pytest.raises(error):
        consumers.thumbnail(message(photo=str(photo.pk)))
    assert text in told(site)[-1]["error"]


def test_a_photo_that_is_gone_is_passed_over(site, consumers, photo, caplog):
    gone = str(photo.pk)
    photo.delete()
    consumers.thumbnail(message(photo=gone))
    assert "nothing to do" in caplog.text


# Looking ------------------------------------------------------------------------------------


def test_a_late_socket_is_accepted_and_told_what_is_ready(site, consumers, photo):
    consumers.thumbnail(message(photo=str(photo.pk)))
    consumers.connect(message(), photo=str(photo.pk))
    accept, state = told(site)
    assert accept == {"accept": True}
    assert state["status"] == "ready"
    assert [t["size"] for t in state["thumbnails"]] == ["small", "medium", "large"]


def test_a_socket_is_in_the_group_before_it_is_told_the_state(site, consumers, photo, monkeypatch):
    model = type(photo)
    members: list[str] = []
    state = model.state

    def spying_state(self: Any) -> Any:
        members.extend(site.group_channels(f"thumbnails.{photo.pk.hex}"))
        return state(self)

    monkeypatch.setattr(model, "state", spying_state)
    consumers.connect(message(), photo=str(photo.pk))
    assert members == [ME]


def test_a_socket_that_closes_leaves_the_group(site, consumers, photo):
    consumers.connect(message(), photo=str(photo.pk))
    consumers.disconnect(message(), photo=str(photo.pk))
    assert site.group_channels(f"thumbnails.{photo.pk.hex}") == []


@pytest.mark.parametrize("unknown", ["00000000-0000-4000-8000-000000000000", "-" * 36])
def test_a_socket_for_an_unknown_photo_is_refused(consumers, unknown):
    with pytest.raises(DenyConnection):
        consumers.connect(message(), photo=unknown)


def test_the_page_shows_what_is_ready_without_a_socket(site, client, consumers, photo):
    consumers.thumbnail(message(photo=str(photo.pk)))
    html = client.get(photo.get_absolute_url()).content.decode()
    for size in ["small", "medium", "large"]:
        assert f'src="/thumbnails/{photo.pk}/{size}.jpg"' in html


def test_a_thumbnail_is_served_as_a_jpeg(site, client, consumers, photo):
    consumers.thumbnail(message(photo=str(photo.pk)))
    response = client.get(f"{photo.get_absolute_url()}small.jpg")
    assert response["Content-Type"] == "image/jpeg"
    assert Image.open(BytesIO(response.getvalue())).size == (160, 120)


def test_a_size_that_is_not_there_is_not_found(site, client, photo):
    assert client.get(f"{photo.get_absolute_url()}small.jpg").status_code == 404


# Echo ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "answer"),
    [
        ({"text": "hello"}, {"text": "You said: hello"}),
        ({"text": ""}, {"text": "You said: "}),
        ({"bytes": b"\x00\xff"}, {"bytes": b"\x00\xff"}),
        ({"bytes": b""}, {"bytes": b""}),
    ],
)
def test_the_echo_answers(site, content, answer):
    import_module("echo.consumers").receive(message(**content))
    assert site.receive(["test.reply.server!"]) == (ME, answer)
