"""The entries of the nav: each app says its own, as ``nav`` on its AppConfig."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from django.apps import apps
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse


class Entry(NamedTuple):
    """What an app says: its name for people, its first page, and a sentence for the start page."""

    text: str
    #: The name of a URL that takes no arguments.
    url_name: str
    about: str


class Link(NamedTuple):
    """An entry on one page; ``current`` is what ``aria-current`` says there."""

    text: str
    url: str
    about: str
    current: str


#: Apps of the package itself know nothing of this site: they are spoken for here.
_OF_OTHERS = {
    "channels_classic.monitor": Entry(
        "Monitor",
        "monitor:page",
        "What every server and worker does at this moment. For staff: "
        "make demo prints a login; elsewhere manage.py createsuperuser makes one.",
    ),
}


def nav(request: HttpRequest) -> dict[str, Any]:
    """The context processor: ``nav`` is a link for each app that has a page, in their order."""
    return {"nav": list(_links(request.path))}


def _links(path: str) -> Iterator[Link]:
    for config in apps.get_app_configs():
        entry = getattr(config, "nav", None) or _OF_OTHERS.get(config.name)
        url = entry and _address(entry.url_name)
        if url:
            yield Link(entry.text, url, entry.about, _current(path, url))


def _address(url_name: str) -> str | None:
    """None where the page is not mounted."""
    try:
        return reverse(url_name)
    except NoReverseMatch:
        return None


def _current(path: str, url: str) -> str:
    """Of ``aria-current``: this very page, one that belongs to it, or neither."""
    if path == url:
        return "page"
    return "true" if url != "/" and path.startswith(url) else ""
