"""The page: send a notification, and see the last ones."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from notifications.forms import NotificationForm
from notifications.notify import notify

#: How many of the last ones are listed.
LISTED = 10


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest) -> HttpResponse:
    """The form and the last notifications; what is posted is sent."""
    form = NotificationForm(request.user, request.POST or None)
    if request.method == "POST" and form.is_valid():
        _send(request, **form.cleaned_data)
        return redirect("notifications")
    latest = request.user.notifications.all()[:LISTED]
    return render(request, "notifications/page.html", {"form": form, "latest": latest})


def _send(request: HttpRequest, to: Any, text: str, level: str) -> None:
    if to == request.user:
        notify(to, text, level)
        return
    notify(to, f"{request.user.get_username()} says: {text}", level)
    notify(request.user, f"Sent to {to.get_username()}.", "success")  # as messages.success() would
