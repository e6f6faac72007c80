"""The addresses of the dashboard."""

from __future__ import annotations

from django.urls import path

from dashboard import views

app_name = "dashboard"
urlpatterns = [
    path("", views.page, name="page"),
    path("ingest/", views.Ingest.as_view(), name="ingest"),
]
