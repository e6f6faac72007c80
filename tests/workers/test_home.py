"""The start page and the nav, on the memory layer and without any process."""

from __future__ import annotations

import json
import os
import re
import socket
from importlib import import_module
from typing import Any

import pytest

from channels_classic import channel_layers
from channels_classic.exceptions import ChannelFull, LayerUnavailable
from channels_classic.handler import AsgiRequest
from channels_classic.message import Message
from channels_classic.signals import worker_beat

ME = "test.reply.server!me"


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


def test_signing_in_and_out_is_offered(site, client, admin_user):
    assert 'href="/sign-in/?next=/echo/">Sign in' in get(client, "/echo/")
    client.force_login(admin_user)
    html = get(client, "/echo/")
    assert 'method="post" action="/sign-out/"' in html
    assert "<span>admin</span>" in html


def test_signing_in_is_not_offered_where_the_site_has_no_pages_for_it(site, client, settings):
    urls = import_module("project.urls")

    settings.ROOT_URLCONF = tuple(p for p in urls.urlpatterns if "accounts" not in repr(p))
    assert "Sign in" not in get(client, "/echo/")


# Who served what ----------------------------------------------------------------------------


@pytest.fixture
def look(site) -> Any:
    return import_module("home.look")


def worker_report(**facts: Any) -> dict[str, Any]:
    return {"kind": "worker", "host": "one", "pid": 7, "uptime": 1.5, "threads": 2, **facts}


def test_the_page_names_the_worker_and_the_server_process_that_it_came_by(site):
    request = AsgiRequest(
        Message(
            {"reply_channel": "server.reply.abc!def", "path": "/", "method": "GET"},
            "http.request",
            channel_layers["default"],
        )
    )
    html = import_module("home.views").home(request).content.decode()
    assert f'data-pid="{os.getpid()}"' in html
    assert f"worker process <b>{os.getpid()}</b> on <b>{socket.gethostname()}</b>" in html
    assert 'data-server="server.reply.abc!"' in html
    assert 'server process <b id="server">abc</b>' in html


def test_a_page_that_came_by_wsgi_names_no_server_process(site, client):
    html = get(client, "/")
    assert 'data-server=""' in html
    assert f"made by process <b>{os.getpid()}</b>" in html
    assert "of a\n    WSGI server" in html


def test_a_look_tells_of_each_process_what_it_has_done_and_does(site, look):
    running = [
        {"channel": channel, "consumer": f"site.{channel}"}
        for channel in ("thumbnailer", look.CHANNEL)
    ]
    report = worker_report(completed={"http.request": 3}, running=running)
    site.ledger.report("worker-a", report, ttl=60)
    site.ledger.report("server.reply.abc!", {"kind": "server", "sockets": 2}, ttl=60)
    found = look.look(site)
    [worker] = found["workers"]
    assert (worker["pid"], worker["host"]) == (7, "one")
    assert worker["completed"] == {"http.request": 3}
    assert worker["running"] == ["site.thumbnailer"]
    assert [(s["name"], s["sockets"]) for s in found["servers"]] == [("server.reply.abc!", 2)]
    assert found["others"] == 0


def test_a_look_shows_so_many_processes_and_counts_the_others(site, look):
    for number in range(look.MOST + 3):
        site.ledger.report(f"worker-{number}", worker_report(), ttl=60)
    found = look.look(site)
    assert (len(found["workers"]), found["others"]) == (look.MOST, 3)


def test_who_comes_is_shown_at_once_and_whoever_is_there_at_each_look(site, look):
    consumers = import_module("home.consumers")
    layer = channel_layers["default"]
    consumers.connect(Message({"reply_channel": ME}, "websocket.connect", layer))
    consumers.look(Message({}, look.CHANNEL, layer))
    received = list(iter(lambda: site.receive(["test.reply.server!"])[1], None))
    assert received[0] == {"accept": True}
    assert [json.loads(content["text"])["workers"] for content in received[1:]] == [[], []]


def beat() -> None:
    worker_beat.send_robust(sender=None, layer=channel_layers["default"])


def test_the_beats_of_many_workers_have_the_site_looked_at_once_a_second(site, look):
    site.group_add(look.GROUP, ME)
    for _ in range(3):
        beat()
    assert site.receive([look.CHANNEL]) == (look.CHANNEL, {})
    assert site.receive([look.CHANNEL]) == (None, None)


def test_nobody_looks_while_nobody_is_there(site, look):
    beat()
    assert site.receive([look.CHANNEL]) == (None, None)


def test_a_beat_goes_on_when_the_channel_is_full_or_the_layer_is_away(site, look, monkeypatch):
    site.group_add(look.GROUP, ME)
    for error in (ChannelFull, LayerUnavailable):

        def refuse(*args: Any, error: type[Exception] = error) -> None:
            raise error

        monkeypatch.setattr(site, "deliver", refuse)
        monkeypatch.setattr(look, "PAUSE", 0)
        look.ask_for_a_look(layer=channel_layers["default"])


# What is not there, or not for everybody ----------------------------------------------------


def test_who_may_not_see_a_page_is_told_why_and_where_to_sign_in(site, client, django_user_model):
    client.force_login(django_user_model.objects.create_user("ann"))
    response = client.get("/monitor/")
    html = response.content.decode()
    assert response.status_code == 403
    assert "The live page is for the staff." in html
    assert 'href="/admin/login/?next=/monitor/"' in html
    assert "Start" in links(html)


def test_a_page_that_is_not_there_leads_to_those_that_are(site, client):
    response = client.get("/nowhere/")
    assert response.status_code == 404
    assert "Echo" in links(response.content.decode())
