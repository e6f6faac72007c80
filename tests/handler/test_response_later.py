"""ResponseLater: a view that leaves the answer to other code."""

from __future__ import annotations

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session
from django.core.signals import got_request_exception, request_finished
from django.db import connection, transaction
from django.http import HttpResponse

from channels_classic.channel import Channel
from channels_classic.handler import AsgiHandler, ViewConsumer
from tests.handler import site
from tests.handler.site import INBOX, REPLY, NoteExceptions, body_of, fail, hello, message


def later(request):
    raise request.ResponseLater


async def later_async(request):
    raise request.ResponseLater


@pytest.mark.parametrize(("url", "function"), [("/", later), ("/async/", later_async)])
def test_a_view_that_answers_later_answers_nothing_now(serve, url, function):
    """Weakness 17: it was a 500."""
    assert serve(function, path=url) == []


@pytest.mark.parametrize(("url", "function"), [("/", later), ("/async/", later_async)])
def test_a_view_that_answers_later_has_not_failed(serve, heard, caplog, url, function):
    failed = heard(got_request_exception)
    serve(function, path=url)
    assert not failed
    assert caplog.text == ""


def test_a_view_that_answers_later_is_finished_with(serve, heard):
    finished = heard(request_finished)
    serve(later)
    assert [kwargs["sender"] for kwargs in finished] == [AsgiHandler]


def test_middleware_may_leave_the_answer_to_other_code_in_place_of_the_view(
    serve, settings, heard, caplog
):
    """Weakness 17 goes for ``process_view``, too."""
    failed = heard(got_request_exception)
    settings.MIDDLEWARE = [f"{site.__name__}.AnswerLater"]
    assert serve(fail) == []
    assert not failed
    assert caplog.text == ""


def test_exception_middleware_is_not_shown_an_answer_for_later(serve, settings, monkeypatch):
    monkeypatch.setattr(NoteExceptions, "seen", [])
    settings.MIDDLEWARE = [f"{site.__name__}.NoteExceptions"]
    serve(later)
    assert NoteExceptions.seen == []


def test_exception_middleware_is_shown_errors(serve, settings, monkeypatch):
    monkeypatch.setattr(NoteExceptions, "seen", [])
    settings.MIDDLEWARE = [f"{site.__name__}.NoteExceptions"]
    serve(fail)
    assert [str(error) for error in NoteExceptions.seen] == ["broken view"]


@pytest.mark.parametrize("url", ["/", "/async/"])
def test_the_session_of_a_view_that_answers_later_is_saved(serve, settings, url):
    settings.MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware"]

    def remember(request):
        request.session["waiting"] = True
        raise request.ResponseLater

    serve(sync_to_async(remember) if url == "/async/" else remember, path=url)
    assert Session.objects.get().get_decoded() == {"waiting": True}


def test_an_answer_for_later_is_not_sent_when_middleware_replaces_it(serve, settings):
    settings.MIDDLEWARE = [f"{site.__name__}.ReplaceResponse"]
    assert body_of(serve(hello)) == b"replaced"
    assert serve(later) == []


def test_an_answer_for_later_is_not_kept_by_the_site_cache(serve, settings):
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    settings.MIDDLEWARE = [
        "django.middleware.cache.UpdateCacheMiddleware",
        "django.middleware.cache.FetchFromCacheMiddleware",
    ]
    serve(later)
    assert body_of(serve(hello)) == b"hello"


@pytest.mark.django_db(transaction=True)
def test_what_a_view_saved_before_it_answers_later_is_committed(serve, monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)

    def save(request):
        assert connection.in_atomic_block
        get_user_model().objects.create(username="waiting")
        raise request.ResponseLater

    assert serve(save) == []
    assert get_user_model().objects.filter(username="waiting").exists()


@pytest.mark.django_db(transaction=True)
def test_what_a_failing_view_saved_is_rolled_back(serve, monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)

    def save_and_fail(request):
        get_user_model().objects.create(username="ann")
        raise RuntimeError("broken view")

    assert serve(save_and_fail)[0]["status"] == 500
    assert not get_user_model().objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_view_may_opt_out_of_atomic_requests(serve, monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    monkeypatch.setattr(site.run_view, "_non_atomic_requests", {"default"}, raising=False)
    replies = serve(lambda request: HttpResponse(str(connection.in_atomic_block)))
    assert body_of(replies) == b"False"
    assert transaction.get_autocommit()


def test_other_code_answers_a_long_poll(set_view, layer):
    waiting: list[str] = []

    def wait(request):
        waiting.append(request.reply_channel.name)
        raise request.ResponseLater

    set_view(wait)
    source = message(layer)
    ViewConsumer()(source)
    assert layer.receive([INBOX]) == (None, None)
    for reply in AsgiHandler.encode_response(HttpResponse(b"news")):
        Channel(waiting[0], channel_layer=source.channel_layer).send(reply)
    name, reply = layer.receive([INBOX])
    assert (name, reply["status"], reply["content"]) == (REPLY, 200, b"news")
