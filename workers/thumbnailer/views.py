"""The pages of the thumbnailer: take a photograph, show it, hand out the thumbnails."""

from __future__ import annotations

import logging
from uuid import UUID

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.http import FileResponse, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from channels_classic import Channel
from channels_classic.exceptions import ChannelFull, LayerUnavailable
from thumbnailer.forms import CONTENT_TYPES, PhotoForm
from thumbnailer.images import SIZES
from thumbnailer.models import Photo, Thumbnail

log = logging.getLogger(__name__)

BUSY = "Too much is going on here right now. Please send the photograph again in a minute."


@require_http_methods(["GET", "HEAD", "POST"])
def upload(request: HttpRequest) -> HttpResponse:
    """The form; a photograph that passes it is stored, and a worker gets to know."""
    if request.method != "POST":
        return _form_page(request, PhotoForm())
    form = PhotoForm(request.POST, request.FILES)
    if not form.is_valid():
        return _form_page(request, form)
    photo = _store(form.cleaned_data["photo"])
    if photo.status == Photo.Status.FAILED:
        form.add_error("photo", photo.error)
        return _form_page(request, form, status=503)
    return redirect(photo)


@require_GET
def photo(request: HttpRequest, photo_id: UUID) -> HttpResponse:
    """The page of one photograph: what is ready now; its socket brings the rest."""
    found = get_object_or_404(Photo, pk=photo_id)
    state = found.state()
    ready = {thumbnail["size"]: thumbnail for thumbnail in state["thumbnails"]}
    slots = [{"size": size, "side": side, **ready.get(size, {})} for size, side in SIZES.items()]
    return render(
        request, "thumbnailer/photo.html", {"photo": found, "state": state, "slots": slots}
    )


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
    }
    return render(request, "thumbnailer/upload.html", context, status=status)


def _store(upload: UploadedFile) -> Photo:
    """The stored photograph; the worker is told after the commit, so that it finds the row."""
    with transaction.atomic():
        photo = Photo.objects.create(original=upload)
        transaction.on_commit(lambda: _tell_worker(photo))
    return photo


def _tell_worker(photo: Photo) -> None:
    """At once, not when this view's own consumer ends: here the user can still be told."""
    try:
        Channel("thumbnailer").send({"photo": str(photo.pk)}, immediately=True)
    except (ChannelFull, LayerUnavailable) as error:
        log.warning("photo %s was not sent to a worker: %s", photo.pk, error)
        photo.mark(Photo.Status.FAILED, BUSY)
