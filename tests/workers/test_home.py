"""The start page and the nav, on the memory layer and without any process."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

import pytest
from django.urls import include, path


def links(html: str) -> list[str]:
    """The texts of the nav."""
    return re.findall(r'<li><a href="[^"]*"[^>]*>([^<]*)</a>', html)


def current(html: str) -> list[tuple[str, str]]:
    """What ``aria-current`` says, and of which text."""
    return re.findall(r'aria-current="(\w+)">([^<]*)</a>', html)


def get(client: Any, path: str) -> str:
    text: str = client.get(path).content.decode()
    return text


# The nav ------------------------------------------------------------------------------------


def test_the_nav_has_the_pages_of_the_installed_apps_in_their_order(site, client, settings):
    installed = [name for name in settings.INSTALLED_APPS if name != "echo"]
    assert links(get(client, "/"))[:2] == ["Start", "Echo"]
    settings.INSTALLED_APPS = [*installed, "echo"]
    assert links(get(client, "/"))[-1] == "Echo"


def test_an_app_whose_page_is_not_mounted_is_left_out(site, client, settings):
    urls = import_module("project.urls")

    settings.ROOT_URLCONF = tuple(p for p in urls.urlpatterns if str(p.pattern) != "echo/")
    assert "Echo" not in links(get(client, "/"))
    assert "Headlines" in links(get(client, "/"))


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/", [("page", "Start")]),
        ("/echo/", [("page", "Echo")]),
        ("/headlines/htmx/", [("true", "Headlines")]),
    ],
)
def test_the_nav_says_where_one_is(site, client, path, said):
    assert current(get(client, path)) == said


def test_each_app_has_a_card_on_the_start_page(site, client):
    html = get(client, "/")
    for text in links(html)[1:]:
        assert f"<h3>{text}</h3>" in html


def test_log_in_and_out_are_offered_where_the_site_has_them(site, client, settings, admin_user):
    urls = import_module("project.urls")

    accounts = path("accounts/", include("django.contrib.auth.urls"))
    settings.ROOT_URLCONF = (accounts, *urls.urlpatterns)
    assert 'href="/accounts/login/?next=/echo/">Log in' in get(client, "/echo/")
    client.force_login(admin_user)
    html = get(client, "/echo/")
    assert 'method="post" action="/accounts/logout/"' in html
    assert "<span>admin</span>" in html
