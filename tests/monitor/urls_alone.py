"""The live page in a site without the admin."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [path("monitor/", include("channels_classic.monitor.urls"))]
