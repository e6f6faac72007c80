"""The pages that every contestant serves, from the same views."""

from __future__ import annotations

from zlib import crc32

from django.http import HttpRequest, HttpResponse
from django.urls import path

MEBIBYTE = b"0123456789abcdef" * 65536


def hello(request: HttpRequest) -> HttpResponse:
    """The smallest page."""
    return HttpResponse(b"Hello, world!")


def upload(request: HttpRequest) -> HttpResponse:
    """What arrived: length and checksum of the body."""
    return HttpResponse(b"%d %08x" % (len(request.body), crc32(request.body)))


def mebibyte(request: HttpRequest) -> HttpResponse:
    """An answer of 1 MiB."""
    return HttpResponse(MEBIBYTE)


urlpatterns = [path("", hello), path("upload/", upload), path("mebibyte/", mebibyte)]
