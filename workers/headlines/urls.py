"""The addresses of the two pages, which show the same."""

from __future__ import annotations

from django.urls import path

from headlines.views import HeadlinesView

app_name = "headlines"
urlpatterns = [
    path("", HeadlinesView.as_view(template_name="headlines/page.html"), name="page"),
    path("htmx/", HeadlinesView.as_view(template_name="headlines/htmx.html"), name="htmx"),
]
