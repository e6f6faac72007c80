"""The address of the echo's page; its socket has the same."""

from __future__ import annotations

from django.urls import path
from django.views.generic import TemplateView

urlpatterns = [path("", TemplateView.as_view(template_name="echo/page.html"), name="echo")]
