"""The pages of the site."""

from __future__ import annotations

from django.urls import path

from delivery import memory

urlpatterns = [path("digest/", memory.digest), path("endless/", memory.endless)]
