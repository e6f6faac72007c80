"""The upload forms: they look at what costs nothing; the worker looks inside the file."""

from __future__ import annotations

from django import forms
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.template.defaultfilters import filesizeformat

from thumbnailer.samples import Sample

CONTENT_TYPES = ("image/jpeg", "image/png", "image/webp", "image/gif")


class PhotoForm(forms.Form):
    """One photograph."""

    photo = forms.FileField(
        label="Photograph",
        error_messages={
            "required": "Choose a photograph first.",
            "missing": "Choose a photograph first.",
            "empty": "The file is empty. Choose another one.",
        },
    )

    def clean_photo(self) -> UploadedFile:
        """The upload, when its size and its stated kind are acceptable."""
        upload: UploadedFile = self.cleaned_data["photo"]
        limit = settings.THUMBNAILER_MAX_BYTES
        if upload.size > limit:
            raise forms.ValidationError(
                f"The file has {filesizeformat(upload.size)} and the limit is "
                f"{filesizeformat(limit)}. Choose a smaller one."
            )
        if upload.content_type not in CONTENT_TYPES:
            raise forms.ValidationError(
                "This is not a photograph. Choose a JPEG, PNG, WebP or GIF file."
            )
        return upload


class SampleForm(forms.Form):
    """One of ours."""

    sample = forms.ChoiceField(choices=Sample)
