"""The pages of the thumbnailer: take a photograph, show it, try it again, hand out its sizes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from uuid import UUID

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import FileResponse, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from channels_classic.exceptions import ChannelFull, LayerUnavailable
from thumbnailer import letters, owners, samples
from thumbnailer.forms import CONTENT_TYPES, PhotoForm, SampleForm
from thumbnailer.images import SIZES
from thumbnailer.models import Photo, Thumbnail

log = logging.getLogger(__name__)

BUSY = "Too much is going on here right now. Please try again in a minute."


@require_http_methods(["GET", "HEAD", "POST"])
def upload(request: HttpRequest) -> HttpResponse:
    """The form; a photograph that passes it is stored, and a worker gets to know."""
    if request.method != "POST":
        return _form_page(request, PhotoForm())
    form = PhotoForm(request.POST, request.FILES)
    if not form.is_valid():
        return _form_page(request, form)
    return _take(request, form, lambda: Photo.objects.create(original=form.cleaned_data["photo"]))


@require_POST
def sample(request: HttpRequest) -> HttpResponse:
    """The same with a photograph of ours."""
    chosen = SampleForm(request.POST)
    if not chosen.is_valid():
        return redirect("thumbnailer:upload")
    kind = samples.Sample(chosen.cleaned_data["sample"])
    return _take(request, PhotoForm(), lambda: samples.store(kind))


@never_cache
@require_GET
def photo(request: HttpRequest, photo_id: UUID) -> HttpResponse:
    """The page of one photograph: what is ready now; its socket brings the rest."""
    found = get_object_or_404(Photo, pk=photo_id)
    state = found.state()
    ready = {thumbnail["size"]: thumbnail for thumbnail in state["thumbnails"]}
    slots = [{"size": size, "side": side, **ready.get(size, {})} for size, side in SIZES.items()]
    context = {
        "photo": found,
        "state": state,
        "slots": slots,
        "may_try_again": owners.may_try_again(request, found),
    }
    return render(request, "thumbnailer/photo.html", context)


@never_cache
@require_GET
def letter(request: HttpRequest, photo_id: UUID) -> HttpResponse:
    """Its dead letter as a piece of HTML, for who may try again; 204 while there is none.

    The page asks for it: a message is buried when its consumer has ended, which is a moment after
    the consumer has told the page.
    """
    found = _to_try_again(request, photo_id)
    buried = letters.letter_of(found)
    if buried is None:
        return HttpResponse(status=204)
    if not found.is_over:  # its workers died with it: no consumer was left to say so
        found.end(Photo.Status.FAILED, "It has ended each worker that tried.")
        found.show()
    return render(request, "thumbnailer/letter.html", {"letter": buried})


@require_POST
def again(request: HttpRequest, photo_id: UUID) -> HttpResponse:
    """Have it tried from the beginning, as if it had never failed."""
    found = _to_try_again(request, photo_id)
    if found.wait_again():
        _or_fail(found, _run_again)
    return redirect(found)


@require_GET
def thumbnail(request: HttpRequest, photo_id: UUID, size: str) -> FileResponse:
    """One JPEG."""
    found = get_object_or_404(Thumbnail, photo_id=photo_id, size=size)
    response = FileResponse(found.image.open(), content_type="image/jpeg")
    response["Cache-Control"] = "private, max-age=3600"
    return response


def _form_page(request: HttpRequest, form: PhotoForm, *, status: int = 200) -> HttpResponse:
    context = {
        "form": form,
        "content_types": ",".join(CONTENT_TYPES),
        "max_bytes": settings.THUMBNAILER_MAX_BYTES,
        "samples": samples.Sample.choices,
        "attempts": settings.THUMBNAILER_ATTEMPTS,
    }
    return render(request, "thumbnailer/upload.html", context, status=status)


def _take(request: HttpRequest, form: PhotoForm, store: Callable[[], Photo]) -> HttpResponse:
    """Store it; the worker is told after the commit, so that it finds the row."""
    with transaction.atomic():
        photo = store()
        owners.remember(request, photo)
        transaction.on_commit(lambda: _or_fail(photo, letters.send))
    if photo.status == Photo.Status.FAILED:
        form.add_error(None, photo.error)
        return _form_page(request, form, status=503)
    return redirect(photo)


def _run_again(photo: Photo) -> None:
    photo.show()  # before a worker has news of it
    letters.run_again(photo)


def _or_fail(photo: Photo, tell: Callable[[Photo], None]) -> None:
    try:
        tell(photo)
    except (ChannelFull, LayerUnavailable) as error:
        log.warning("photo %s was not sent to a worker: %s", photo.pk, error)
        photo.end(Photo.Status.FAILED, BUSY)
        with suppress(LayerUnavailable):
            photo.show()


def _to_try_again(request: HttpRequest, photo_id: UUID) -> Photo:
    found = get_object_or_404(Photo, pk=photo_id)
    if not owners.may_try_again(request, found):
        raise PermissionDenied("Only who has sent a photograph may have it tried again.")
    return found
