"""AsgiHandler: from the message through the view to the replies, and what may fail."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.signals import got_request_exception, request_finished, request_started
from django.http import FileResponse, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.urls import reverse

from channels_classic import handler
from channels_classic.handler import AsgiHandler, AsgiRequest
from channels_classic.message import Message
from tests.handler import site
from tests.handler.site import BODY, Clock, body_of, chunked, fail, hello, message, request

# From the message to the replies --------------------------------------------------------------


def test_a_view_answers(serve):
    (reply,) = serve(hello)
    assert (reply["status"], reply["content"], reply["more_content"]) == (200, b"hello", False)


def test_an_asynchronous_view_answers(serve):
    async def answer(request):
        await asyncio.sleep(0)
        return HttpResponse(b"hello")

    assert body_of(serve(answer, path="/async/")) == b"hello"


def test_the_view_sees_the_session_and_the_cookies(serve, settings):
    settings.MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware"]
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"

    def count(request):
        request.session["visits"] = request.session.get("visits", 0) + 1
        return HttpResponse(str(request.session["visits"]))

    (first,) = serve(count)
    cookie = dict(first["headers"])[b"Set-Cookie"].split(b";")[0]
    assert body_of(serve(count, headers=[(b"cookie", cookie)])) == b"2"


def test_the_answer_to_a_head_request_is_left_to_the_server(serve):
    (reply,) = serve(hello, method="HEAD")
    assert reply["content"] == b"hello"


def test_a_redirect_is_a_reply_with_a_location(serve):
    (reply,) = serve(lambda request: HttpResponseRedirect("/elsewhere/"))
    assert (reply["status"], dict(reply["headers"])[b"Location"]) == (302, b"/elsewhere/")


def test_an_unknown_path_is_404(serve):
    assert serve(hello, path="/nowhere/")[0]["status"] == 404


def test_links_begin_with_the_root_path(serve):
    replies = serve(
        lambda request: HttpResponse(reverse("page")), path="/app/page/", root_path="/app"
    )
    assert body_of(replies) == b"/app/page/"


def test_links_have_no_prefix_when_the_root_path_is_none(serve):
    assert (
        body_of(serve(lambda request: HttpResponse(reverse("page")), root_path=None)) == b"/page/"
    )


def test_a_file_is_sent_in_large_blocks(serve, tmp_path):
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(b"x" * (AsgiHandler.chunk_size + 10))
    replies = serve(lambda request: FileResponse(photo.open("rb")))
    sizes = [len(reply.get("content", b"")) for reply in replies]
    assert sizes == [AsgiHandler.chunk_size, 10, 0]
    assert dict(replies[0]["headers"])[b"Content-Type"] == b"image/jpeg"


def test_the_file_of_a_response_is_closed(serve, tmp_path):
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(b"pixels")
    files = []

    def send(request):
        files.append(photo.open("rb"))
        return FileResponse(files[0])

    serve(send)
    assert files[0].closed


def test_request_started_is_sent_with_the_scope_and_the_message(serve, heard):
    started = heard(request_started)
    serve(hello, path="/page/")
    assert started[0]["sender"] is AsgiHandler
    assert (started[0]["scope"]["type"], started[0]["scope"]["path"]) == ("http", "/page/")
    assert isinstance(started[0]["message"], Message)


def test_request_finished_is_sent_by_the_handler(serve, heard):
    finished = heard(request_finished)
    serve(hello)
    assert [kwargs["sender"] for kwargs in finished] == [AsgiHandler]


def test_the_response_is_closed_when_the_caller_stops_early(set_view, heard):
    finished = heard(request_finished)
    set_view(lambda request: StreamingHttpResponse([b"one", b"two"]))
    replies = AsgiHandler()(message())
    next(replies)
    assert not finished
    replies.close()
    assert finished


def test_the_response_is_closed_when_its_stream_fails(serve, heard):
    finished = heard(request_finished)

    def parts():
        yield b"one"
        raise RuntimeError("broken stream")

    with pytest.raises(RuntimeError, match="broken stream"):
        serve(lambda request: StreamingHttpResponse(parts()))
    assert finished


def test_the_response_closes_its_request(serve):
    requests = []

    def keep(request):
        requests.append(request)
        return HttpResponse(b"hello")

    serve(keep)
    assert requests[0]._stream.closed


def test_a_handler_may_have_a_request_class_of_its_own(set_view):
    class OwnRequest(AsgiRequest):
        def __init__(self, message):
            super().__init__(message)
            self.tenant = "acme"

    class OwnHandler(AsgiHandler):
        request_class = OwnRequest

    set_view(lambda request: HttpResponse(request.tenant))
    assert body_of(list(OwnHandler()(message()))) == b"acme"


# Errors ---------------------------------------------------------------------------------------


def test_a_query_string_that_is_not_utf8_is_400(serve, caplog, heard):
    finished = heard(request_finished)
    assert serve(hello, query_string=b"\xff")[0]["status"] == 400
    assert "UnicodeDecodeError" in caplog.text
    assert [kwargs["sender"] for kwargs in finished] == [AsgiHandler]


def test_a_body_that_comes_too_slowly_is_408(set_view, monkeypatch):
    Clock(monkeypatch)
    set_view(hello)
    source = message(method="POST", body_channel=BODY)
    source.channel_layer = SimpleNamespace(receive=lambda *args, **kwargs: (None, None))
    (reply,) = AsgiHandler()(source)
    assert reply["status"] == 408
    assert dict(reply["headers"])[b"Content-Type"] == b"text/plain"
    assert reply["content"].startswith(b"408 Request Timeout")


def test_nothing_is_answered_when_the_client_went_away(set_view, layer, heard):
    finished = heard(request_finished)
    set_view(hello)
    assert list(AsgiHandler()(chunked(layer, {"closed": True}))) == []
    assert [kwargs["sender"] for kwargs in finished] == [AsgiHandler]


def test_a_view_that_fails_is_500(serve, heard):
    failed = heard(got_request_exception)
    assert serve(fail)[0]["status"] == 500
    assert len(failed) == 1


def test_the_technical_page_shows_the_error_in_debug(serve, settings):
    settings.DEBUG = True
    (reply,) = serve(fail)
    assert reply["status"] == 500
    assert b"broken view" in reply["content"]


@pytest.fixture
def broken_error_page(monkeypatch):
    monkeypatch.setattr(site, "handler500", f"{site.__name__}.failing_error_page", raising=False)


@pytest.mark.usefixtures("broken_error_page")
def test_an_error_page_that_fails_too_gives_a_plain_500(serve, caplog):
    (reply,) = serve(fail)
    assert (reply["status"], reply["content"]) == (500, b"Internal Server Error")
    assert dict(reply["headers"])[b"Content-Type"] == b"text/plain"
    assert "the error page is broken too" in caplog.text


@pytest.mark.usefixtures("broken_error_page")
def test_a_plain_500_closes_the_request(serve):
    requests = []

    def keep_and_fail(request):
        requests.append(request)
        raise RuntimeError("broken view")

    serve(keep_and_fail)
    assert requests[0]._stream.closed


def test_the_plain_500_has_a_traceback_in_debug_alone(settings, monkeypatch):
    def broken(*args: Any) -> HttpResponse:
        raise RuntimeError("the error page is broken too")

    monkeypatch.setattr(handler, "handle_uncaught_exception", broken)
    made = AsgiHandler()
    quiet = made.handle_uncaught_exception(request(), None, (None, None, None))
    settings.DEBUG = True
    debug = made.handle_uncaught_exception(request(), None, (None, None, None))
    assert (quiet.status_code, quiet.content) == (500, b"Internal Server Error")
    assert b"the error page is broken too" in debug.content


def test_errors_come_out_when_the_settings_ask_for_it(serve, settings):
    settings.DEBUG_PROPAGATE_EXCEPTIONS = True
    with pytest.raises(RuntimeError, match="broken view"):
        serve(fail)
