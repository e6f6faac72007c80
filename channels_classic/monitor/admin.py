"""The live page in the index of Django's admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from channels_classic.monitor.access import may_look
from channels_classic.monitor.models import DeadLetter


@admin.register(DeadLetter)
class LivePage(admin.ModelAdmin):  # type: ignore[type-arg]  # it takes none when it runs
    """An entry that leads to the page; there are no rows."""

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """To the page, which asks for itself who may see it."""
        return redirect("monitor:page")

    def has_module_permission(self, request: HttpRequest) -> bool:
        """As of the page."""
        return may_look(request.user)

    def has_view_permission(self, request: HttpRequest, obj: DeadLetter | None = None) -> bool:
        """As of the page."""
        return may_look(request.user)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds dead letters."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: DeadLetter | None = None) -> bool:
        """Not here."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: DeadLetter | None = None) -> bool:
        """Not here."""
        return False
