"""The pages: each carries bytes in a way of its own."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

from django.contrib import admin
from django.contrib.auth.decorators import login_required
from django.http import FileResponse, HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.template import engines
from django.urls import path

from pages import work

FORM = """<form method="post">{% csrf_token %}<input name="word"></form>"""


def hello(request: HttpRequest) -> HttpResponse:
    """A small answer that repeats what it was asked, and says by which process."""
    return JsonResponse({"token": request.GET.get("token"), "worker": os.getpid()})


def seen(request: HttpRequest) -> HttpResponse:
    """How the request looks from here."""
    return JsonResponse(
        {
            "scheme": request.scheme,
            "address": request.META["REMOTE_ADDR"],
            "host": request.get_host(),
            "process": os.getpid(),
        }
    )


def digest(request: HttpRequest) -> HttpResponse:
    """What arrived of an upload."""
    return JsonResponse(
        {"length": len(request.body), "sha256": hashlib.sha256(request.body).hexdigest()}
    )


def large(request: HttpRequest) -> HttpResponse:
    """1 MiB at once."""
    return HttpResponse(b"0123456789abcdef" * 65536, content_type="application/octet-stream")


def streamed(request: HttpRequest) -> StreamingHttpResponse:
    """A hundred lines, one by one."""

    def lines() -> Iterator[bytes]:
        yield from (b"line %d\n" % number for number in range(100))

    return StreamingHttpResponse(lines(), content_type="text/plain")


def endless(request: HttpRequest) -> StreamingHttpResponse:
    """Lines until somebody stops it."""
    return StreamingHttpResponse(b"%d\n" % number for number in itertools.count())


def download(request: HttpRequest) -> FileResponse:
    """The file that the test made."""
    return FileResponse(Path(os.environ["SITE_FILE"]).open("rb"), as_attachment=True)


def form(request: HttpRequest) -> HttpResponse:
    """A form with its CSRF token, and what was posted with it; the session counts."""
    if request.method == "POST":
        request.session["posts"] = request.session.get("posts", 0) + 1
        return JsonResponse({"word": request.POST["word"], "posts": request.session["posts"]})
    return HttpResponse(engines["django"].from_string(FORM).render({}, request))


@login_required
def private(request: HttpRequest) -> HttpResponse:
    """Only for those who are logged in."""
    return JsonResponse({"user": request.user.get_username()})


urlpatterns = [
    path("", hello),
    path("seen/", seen),
    path("digest/", digest),
    path("large/", large),
    path("streamed/", streamed),
    path("endless/", endless),
    path("download/", download),
    path("form/", form),
    path("private/", private),
    path("work/", work.begin),
    path("admin/", admin.site.urls),
]
# Uploads are digested without a token; the form page shows that tokens work.
digest.csrf_exempt = True  # type: ignore[attr-defined]
