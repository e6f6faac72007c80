"""Who has sent a photograph, by the session: its owner may have it tried again."""

from __future__ import annotations

from django.http import HttpRequest

from thumbnailer.models import Photo

_KEY = "photographs"
#: How many of theirs a session remembers.
KEPT = 100


def remember(request: HttpRequest, photo: Photo) -> None:
    """This visitor has sent it."""
    mine = request.session.get(_KEY, [])
    request.session[_KEY] = [*mine, str(photo.pk)][-KEPT:]


def may_try_again(request: HttpRequest, photo: Photo) -> bool:
    """Whether this visitor has sent it, or is staff."""
    return request.user.is_staff or str(photo.pk) in request.session.get(_KEY, [])
