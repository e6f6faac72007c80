"""The page, and the way in for programs."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from rest_framework import status
from rest_framework.parsers import JSONParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from dashboard.models import KEPT, Week
from dashboard.serializers import EXAMPLE, WeekSerializer


@never_cache
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """The weeks that are kept; the page's socket brings the next ones."""
    context = {"weeks": Week.kept(), "most": KEPT, "example": EXAMPLE}
    return render(request, "dashboard/page.html", context)


class Ingest(APIView):
    """POST seven integers, from Monday to Sunday: {"data": [12, 19, 3, 5, 2, 3, 9]}

    The charts of every open dashboard are drawn anew at once. GET shows the week that they show.
    """

    name = "Push a week"  # the title of the browsable API's page
    # Everybody may push here; a real site names its permission_classes.
    parser_classes = (JSONParser,)  # pages of other sites cannot post it without being asked

    def get(self, request: Request) -> Response:
        """The last week; null before there is one."""
        week = Week.objects.last()
        return Response({"last": week and week.state()})

    def post(self, request: Request) -> Response:
        """Store a week and show it; 400 with the reasons when it is none."""
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        week = Week.push(serializer.validated_data["data"])
        return Response(week.state(), status=status.HTTP_201_CREATED)

    def get_serializer(self, **options: Any) -> WeekSerializer:
        """The browsable API asks for it, for its form."""
        return WeekSerializer(**options)
