"""The live page, and what is decided on it about dead letters."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import NoReverseMatch, get_script_prefix, reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect, ensure_csrf_cookie
from django.views.decorators.http import require_POST, require_safe

from channels_classic.asgi import channel_layers
from channels_classic.conf import DEFAULT_CHANNEL_LAYER
from channels_classic.exceptions import LayerUnavailable
from channels_classic.monitor.access import may_act, may_look
from channels_classic.monitor.letters import DEEDS, decide
from channels_classic.monitor.lookers import looker_of


@require_safe
@never_cache
@ensure_csrf_cookie
def page(request: HttpRequest) -> HttpResponse:
    """The page, for the staff: others are asked to log in, or get 403 if they have."""
    if not request.user.is_authenticated:
        return redirect_to_login(request.get_full_path(), _login_url())
    if not may_look(request.user):
        raise PermissionDenied("The live page is for the staff.")
    looker = looker_of(channel_layers[DEFAULT_CHANNEL_LAYER])
    context = {
        "opening": _opening(looker),
        "settings": {
            "history": looker.limits.history,
            "sample": looker.limits.sample,
            "mayAct": may_act(request.user),
            "live": request.path.rstrip("/") + "/live/",
            "dead": reverse("monitor:dead"),
        },
        "layer": type(looker.layer.channel_layer).__name__,
        "admin": _url("admin:index"),
        "site": get_script_prefix(),
    }
    return render(request, "channels_classic/monitor/page.html", context)


def _opening(looker: Any) -> dict[str, Any]:
    """A page without figures tells why there are none, and goes on trying."""
    try:
        found: dict[str, Any] = looker.opening()
    except LayerUnavailable as error:
        return {"problem": str(error)}
    return found


@require_POST
@csrf_protect
def dead(request: HttpRequest) -> JsonResponse:
    """Requeue or delete dead letters: ``deed``, and ``id`` (several), ``channel`` or ``all``.

    Who asks again as there are more hands back the ``until`` of the answer.
    """
    if not may_act(request.user):
        return _refused("You may look, but not requeue or delete dead letters.", 403)
    posted = request.POST
    deed, ids, channel = posted.get("deed"), posted.getlist("id"), posted.get("channel")
    if deed not in DEEDS or [bool(ids), bool(channel), "all" in posted].count(True) != 1:
        return _refused("Say what to do, requeue or delete, and with which: id, channel or all.")
    looker = looker_of(channel_layers[DEFAULT_CHANNEL_LAYER])
    try:
        done = decide(
            looker.layer.channel_layer,
            deed,
            ids=ids[: looker.limits.at_once],
            channel=channel,
            until=_number(posted.get("until")),
            at_once=looker.limits.at_once,
            who=request.user,
        )
    except LayerUnavailable as error:
        return _refused(str(error), 503)
    return JsonResponse(done._asdict(), status=409 if done.problem else 200)


def _number(text: str | None) -> float:
    try:
        return float(text or 0)
    except ValueError:
        return 0


def _refused(problem: str, status: int = 400) -> JsonResponse:
    return JsonResponse({"done": 0, "more": False, "problem": problem}, status=status)


def _login_url() -> str:
    """Where members of the staff log in."""
    return _url("admin:login") or str(settings.LOGIN_URL)


def _url(name: str) -> str:
    try:
        return reverse(name)
    except NoReverseMatch:
        return ""
