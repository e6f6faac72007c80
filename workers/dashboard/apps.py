"""The app's entry in Django's list."""

from __future__ import annotations

from django.apps import AppConfig

from home.nav import Entry


class DashboardConfig(AppConfig):
    """The dashboard."""

    name = "dashboard"
    nav = Entry(
        "Dashboard",
        "dashboard:page",
        "A program pushes numbers by HTTP: the charts of every browser are drawn anew.",
    )
