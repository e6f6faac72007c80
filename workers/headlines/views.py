"""The pages, and what is posted from them."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.views.generic import TemplateView

from headlines.models import Headline


class HeadlinesView(TemplateView):
    """A page; what is posted to it comes back by its stream, as to everybody else."""

    def post(self, request: HttpRequest) -> HttpResponse:
        """Publish a headline; the page stays as it is."""
        headline = Headline(text=request.POST.get("text", "").strip())
        try:
            headline.full_clean()
        except ValidationError as error:
            return HttpResponseBadRequest(error.messages[0], content_type="text/plain")
        headline.save()
        headline.publish()
        return HttpResponse(status=204)
