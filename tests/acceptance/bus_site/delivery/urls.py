"""The pages of the site."""

from __future__ import annotations

from django.urls import path

from delivery import memory, streams

urlpatterns = [
    path("digest/", memory.digest),
    path("endless/", memory.endless),
    path("file/", streams.file),
    path("many/<int:mib>/", streams.many),
    path("ticks/", streams.ticks),
    path("async-ticks/", streams.async_ticks),
    path("poll/", streams.poll),
]
