"""The admin, with its login, and the live page."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("monitor/", include("channels_classic.monitor.urls")),
    path("admin/", admin.site.urls),
]
