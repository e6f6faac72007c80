"""The address of the page; the socket has the same."""

from __future__ import annotations

from django.urls import path

from notifications.views import page

urlpatterns = [path("", page, name="notifications")]
