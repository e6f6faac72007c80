"""What the right side of the page does, where the left side of it does it elsewhere."""

from __future__ import annotations

from django.contrib.auth.models import AnonymousUser, User
from django.test import RequestFactory
from project.models import Counter

from channels_classic import include, route, route_class
from channels_classic.test import WSClient, apply_routes
from project import counter, dashboard, notices

ROUTES = [
    include("channels_classic.presence.routing"),
    route_class("project.consumers.Chat", path=r"^/chat/(?P<room>\w+)/$"),
    route("websocket.connect", dashboard.connect, path=r"^/index/$"),
    route("websocket.connect", notices.connect, path=r"^/notices/$"),
    route("websocket.connect", counter.connect, path=r"^/counter/$"),
]


def opened(path: str, user: User | None = None) -> WSClient:
    client = WSClient()
    if user is not None:
        client.force_login(user)
    client.send_and_consume("websocket.connect", path=path)
    return client


with apply_routes(ROUTES):
    ann = User.objects.create(username="ann")
    one, other = opened("/chat/kitchen/", ann), opened("/chat/kitchen/")
    cellar = opened("/chat/cellar/")
    one.send_and_consume("websocket.receive", path="/chat/kitchen/", text="Hello")
    assert [each.receive(json=False) for each in (one, other)] == ["ann: Hello"] * 2
    other.send_and_consume("websocket.receive", path="/chat/kitchen/", text="Hi")
    assert one.receive(json=False) == f"{AnonymousUser()}: Hi"
    assert cellar.receive() is None

    pages = [opened("/index/") for _ in range(2)]
    from project.views import ingest

    week = RequestFactory().post("/", {"week": [1, 2, 3]}, content_type="application/json")
    assert ingest(week).status_code == 202
    assert [page.receive() for page in pages] == [{"text": [1, 2, 3]}] * 2

    tabs = [opened("/notices/", ann) for _ in range(2)]
    notices.notify(ann, "Hi")
    assert [tab.receive() for tab in tabs] == [{"text": "Hi"}] * 2
    nobody = WSClient()
    nobody.send("websocket.connect", {"path": "/notices/"})
    nobody.consume("websocket.connect")
    assert nobody.receive(json=False) == {"close": True}

    Counter.objects.create(pk=1)
    page = opened("/counter/")
    assert page.receive() == {"value": 0}
    for value in (1, 2):
        assert counter.increment(RequestFactory().post("/")).content == str(value).encode()
        assert page.receive() == {"value": value}
