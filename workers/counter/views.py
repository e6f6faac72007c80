"""The counter's two pages, and the same as JSON."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from counter.models import Counter


@never_cache
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """The stored value; the page's socket brings the next ones."""
    return render(request, "counter/page.html", {"value": Counter.current()})


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def increment_page(request: HttpRequest) -> HttpResponse:
    """The button; where scripts do not run, its form is posted, and the page comes anew."""
    if request.method == "POST":
        Counter.increment()
        return redirect("counter:increment")
    return render(request, "counter/increment.html", {"value": Counter.current()})


@never_cache
@require_safe
def read(request: HttpRequest) -> JsonResponse:
    """The stored value as JSON."""
    return JsonResponse({"value": Counter.current()})


@csrf_exempt  # it acts for nobody: no cookie gives more rights here than anybody has
@never_cache
@require_POST
def increment(request: HttpRequest) -> JsonResponse:
    """Add one; the new value as JSON."""
    return JsonResponse({"value": Counter.increment()})
