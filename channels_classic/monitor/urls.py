"""The addresses of the live page.

``path("monitor/", include("channels_classic.monitor.urls"))``
"""

from __future__ import annotations

from django.urls import path

from channels_classic.monitor import views

app_name = "monitor"
urlpatterns = [
    path("", views.page, name="page"),
    path("dead/", views.dead, name="dead"),
]
