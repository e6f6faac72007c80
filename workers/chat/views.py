"""The pages: the rooms there are, and one of them."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.db.models import Max
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from channels_classic.presence import count_users
from chat.forms import RoomForm
from chat.models import Room

#: How many rooms are listed: those in which something was said last.
LISTED = 50


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def rooms(request: HttpRequest) -> HttpResponse:
    """The rooms; a name that is posted leads to its room, which is made if new."""
    if request.method != "POST":
        return _rooms_page(request, RoomForm())
    form = RoomForm(request.POST)
    if form.is_valid():
        return redirect(form.save())
    return _rooms_page(request, form)


@login_required
@require_GET
def room(request: HttpRequest, slug: str) -> HttpResponse:
    """One room, still empty: its socket brings what was said."""
    found = Room.objects.filter(slug=slug).first()
    if found is None:  # to look makes no room: crawlers look, too
        return _rooms_page(request, RoomForm({"name": slug}), missing=slug, status=404)
    limits = {"max_length": settings.CHAT_MAX_LENGTH}
    return render(request, "chat/room.html", {"room": found, **limits})


def _rooms_page(
    request: HttpRequest, form: RoomForm, *, missing: str = "", status: int = 200
) -> HttpResponse:
    listed = Room.objects.annotate(last=Max("lines__said")).order_by("-last", "name")[:LISTED]
    for room in listed:
        room.here = count_users(room.group)
    context = {"form": form, "rooms": listed, "missing": missing}
    return render(request, "chat/rooms.html", context, status=status)
