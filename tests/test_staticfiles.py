"""Static files through the bus: files under STATIC_URL, and the site's views for the rest."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import request_finished
from django.http import HttpResponse
from django.urls import path, re_path

from channels_classic.asgi import ChannelLayerWrapper
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.message import Message
from channels_classic.staticfiles import StaticFilesConsumer, StaticFilesHandler

#: A request closes database connections that are too old, so each test may have one.
pytestmark = pytest.mark.django_db

REPLY = "server.reply.abc!1"

urlpatterns = [
    path("", lambda request: HttpResponse(b"the site")),
    re_path("^static/from-a-view$", lambda request: HttpResponse(b"the site's own")),
]


class Mark:
    """Middleware that leaves a mark on every response of the site."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> HttpResponse:
        response = self.get_response(request)
        response["X-Marked"] = "yes"
        return response


@pytest.fixture(autouse=True)
def _files(settings, tmp_path):
    (tmp_path / "site.css").write_bytes(b"body {}")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "caf\xe9 1.txt").write_bytes(b"deep")
    settings.STATICFILES_DIRS = [tmp_path]
    settings.STATIC_URL = "/static/"
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = [f"{__name__}.Mark"]


def message(layer: InMemoryChannelLayer | None = None, **content: Any) -> Message:
    wrapper = ChannelLayerWrapper(layer or InMemoryChannelLayer(), "default", [])
    defaults = {
        "reply_channel": REPLY,
        "http_version": "1.1",
        "method": "GET",
        "path": "/",
        "query_string": b"",
        "headers": [(b"host", b"testserver")],
    }
    return Message({**defaults, **content}, "http.request", wrapper)


def get(path: str, **content: Any) -> list[dict[str, Any]]:
    return list(StaticFilesHandler()(message(path=path, **content)))


def body_of(replies: list[dict[str, Any]]) -> bytes:
    return b"".join(reply.get("content", b"") for reply in replies)


def test_a_static_file_is_served():
    replies = get("/static/site.css")
    assert (replies[0]["status"], body_of(replies)) == (200, b"body {}")
    assert dict(replies[0]["headers"])[b"Content-Type"] == b"text/css"


def test_a_static_file_in_a_folder_is_served():
    assert body_of(get("/static/sub/caf\xe9 1.txt")) == b"deep"


def test_static_files_need_no_debug(settings):
    settings.DEBUG = False
    assert get("/static/site.css")[0]["status"] == 200


def test_a_static_file_that_has_not_changed_is_304():
    modified = dict(get("/static/site.css")[0]["headers"])[b"Last-Modified"]
    (reply,) = get("/static/site.css", headers=[(b"if-modified-since", modified)])
    assert (reply["status"], reply["content"]) == (304, b"")


def test_static_files_do_not_pass_through_the_middleware():
    assert b"X-Marked" not in dict(get("/static/site.css")[0]["headers"])


def test_other_paths_go_to_the_site_through_its_middleware():
    (reply,) = get("/")
    assert reply["content"] == b"the site"
    assert dict(reply["headers"])[b"X-Marked"] == b"yes"


def test_a_missing_file_goes_to_the_views():
    assert body_of(get("/static/from-a-view")) == b"the site's own"


def test_a_missing_file_that_no_view_serves_is_404():
    (reply,) = get("/static/nothing.css")
    assert reply["status"] == 404
    assert b"X-Marked" in dict(reply["headers"])


def test_a_missing_file_shows_the_technical_page_in_debug(settings):
    settings.DEBUG = True
    (reply,) = get("/static/nothing.css")
    assert reply["status"] == 404
    assert b"Page not found" in reply["content"]
    assert b"nothing.css" in reply["content"]


def test_nothing_outside_the_static_folders_is_served(tmp_path):
    (tmp_path.parent / "secret.txt").write_bytes(b"secret")
    replies = get("/static/../secret.txt")
    assert replies[0]["status"] in {400, 404}
    assert b"secret" not in body_of(replies)


def test_a_static_url_with_a_host_is_not_served(settings):
    settings.STATIC_URL = "https://cdn.example.com/static/"
    assert get("/static/site.css")[0]["status"] == 404


def test_a_static_url_below_the_root_path_is_served():
    replies = get("/app/static/site.css", root_path="/app")
    assert body_of(replies) == b"body {}"


def test_a_static_url_that_holds_the_root_path_is_served(settings):
    settings.STATIC_URL = "/app/static/"
    replies = get("/app/static/site.css", root_path="/app")
    assert body_of(replies) == b"body {}"


@pytest.mark.parametrize("url", ["", None])
def test_the_static_url_must_be_set(settings, url):
    settings.STATIC_URL = url
    with pytest.raises(ImproperlyConfigured, match="STATIC_URL"):
        StaticFilesHandler()


def test_the_media_url_must_not_be_the_static_url(settings):
    settings.MEDIA_URL = settings.STATIC_URL
    with pytest.raises(ImproperlyConfigured, match="MEDIA_URL and STATIC_URL"):
        StaticFilesHandler()


def test_request_finished_says_that_files_are_handled():
    senders = []

    def receiver(sender: Any, **kwargs: Any) -> None:
        senders.append(sender)

    request_finished.connect(receiver)
    try:
        get("/static/site.css")
    finally:
        request_finished.disconnect(receiver)
    assert senders == [StaticFilesHandler]
    assert senders[0].handles_files


def test_the_consumer_serves_static_files():
    layer = InMemoryChannelLayer()
    StaticFilesConsumer()(message(layer, path="/static/site.css"))
    name, reply = layer.receive(["server.reply.abc!"])
    assert (name, reply["status"], reply["content"]) == (REPLY, 200, b"body {}")


def test_the_consumer_runs_the_views_too():
    layer = InMemoryChannelLayer()
    StaticFilesConsumer()(message(layer, path="/"))
    assert layer.receive(["server.reply.abc!"])[1]["content"] == b"the site"
