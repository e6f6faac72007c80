"""The URLs of the test suite: a test that needs views sets a ROOT_URLCONF of its own."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver

urlpatterns: list[URLPattern | URLResolver] = []
