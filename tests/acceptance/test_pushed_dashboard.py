"""The article about a dashboard, step by step: a view of an API pushes to every page that is open.

It was written for later versions; its consumer is one of this package here. The example site's own
dashboard is tested in a browser.
"""

from __future__ import annotations

import json
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from websockets.sync.client import ClientConnection

from tests.acceptance.conftest import COMMANDS
from tests.acceptance.processes import Process, free_port
from tests.acceptance.visitor import Visitor
from tests.conftest import RedisServer

FILES = {
    "board/consumers.py": """
from channels_classic.generic.websockets import WebsocketConsumer

class Index(WebsocketConsumer):
    groups = ["index"]
""",
    "board/routing.py": """
from channels_classic import route_class
from board.consumers import Index

channel_routing = [route_class(Index, path=r"^/index/$")]
""",
    "board/views.py": """
import json
from channels_classic import Group
from rest_framework.response import Response
from rest_framework.views import APIView

class Ingest(APIView):
    def get(self, request):
        return Response({"post": "seven numbers"})

    def post(self, request):
        Group("index").send({"text": json.dumps({"text": request.data["week"]})}, on_commit=True)
        return Response({"pushed": request.data["week"]}, status=202)

class Forgotten(APIView):
    def post(self, request):
        Group("index").asend({"text": "nobody awaits this"})
        return Response(status=202)
""",
    "djboard/urls.py": """
from django.urls import path
from board.views import Forgotten, Ingest

urlpatterns = [path("ingest/", Ingest.as_view()), path("forgotten/", Forgotten.as_view())]
""",
}
SETTINGS = """
INSTALLED_APPS += ["rest_framework", "channels_classic", "board"]
ALLOWED_HOSTS = ["127.0.0.1"]
CHANNEL_LAYERS = {{
    "default": {{
        "BACKEND": "channels_classic.layers.redis.RedisChannelLayer",
        "CONFIG": {{"hosts": [{url!r}]}},
        "ROUTING": "board.routing.channel_routing",
    }},
}}
"""
#: A push takes less than this, in seconds, and a test waits longer than that for it.
PROMISED, WAIT = 1.0, 20.0
WEEK = [12, 19, 3, 5, 2, 3, 9]


class Board:
    """The project, by runserver and by gunicorn at the same time."""

    def __init__(self, folder: Path, redis_url: str) -> None:
        self.folder = folder
        self.ports = {"asgi": free_port(), "wsgi": free_port()}
        self.run(COMMANDS / "django-admin", "startproject", "djboard", ".")
        self.run(sys.executable, "manage.py", "startapp", "board")
        for name, text in FILES.items():
            (folder / name).write_text(text)
        with (folder / "djboard" / "settings.py").open("a") as settings:
            settings.write(SETTINGS.format(url=redis_url))
        self.run(sys.executable, "manage.py", "migrate", "--verbosity", "0")
        runserver = [sys.executable, "manage.py", "runserver", "--noreload"]
        self.asgi = self.process("asgi", *runserver, f"127.0.0.1:{self.ports['asgi']}")
        gunicorn = [sys.executable, "-m", "gunicorn", "djboard.wsgi"]
        self.wsgi = self.process("wsgi", *gunicorn, "--bind", f"127.0.0.1:{self.ports['wsgi']}")

    def process(self, name: str, *command: str | Path) -> Process:
        return Process(command, log=self.folder / f"{name}.log", cwd=self.folder)

    def run(self, *command: str | Path) -> None:
        with self.process("setup", *command) as process:
            assert process.wait(60) == 0, process.report()

    @contextmanager
    def page(self) -> Iterator[ClientConnection]:
        """An open page; like the article's, it says what is no JSON at first."""
        with Visitor(f"http://127.0.0.1:{self.ports['asgi']}").socket("/index/") as socket:
            socket.send("[object Object]")
            yield socket

    def post(self, kind: str, path: str, **data: object) -> tuple[int, str]:
        """A post as that of the browsable API, to one of the two servers."""
        url = f"http://127.0.0.1:{self.ports[kind]}{path}"
        headers = {"Content-Type": "application/json", "Accept": "text/html"}
        request = urllib.request.Request(url, json.dumps(data).encode(), headers)
        with urllib.request.urlopen(request, timeout=WAIT) as answer:
            return answer.status, answer.read().decode()


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory, redis_server: RedisServer) -> Iterator[Board]:
    board = Board(tmp_path_factory.mktemp("board"), redis_server.url)
    with ExitStack() as started:
        for kind, process in (("asgi", board.asgi), ("wsgi", board.wsgi)):
            started.enter_context(process).wait_for_port(board.ports[kind])
        yield board


def pushed(pages: list[ClientConnection]) -> list[object]:
    return [json.loads(page.recv(timeout=WAIT)) for page in pages]


def test_the_browsable_api_shows_how_to_post(board: Board) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{board.ports['asgi']}/ingest/", headers={"Accept": "text/html"}
    )
    with urllib.request.urlopen(request, timeout=WAIT) as answer:
        page = answer.read().decode()
    assert "<title>Ingest" in page
    assert "seven numbers" in page


@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
def test_a_post_reaches_every_open_page_within_a_second(board: Board, kind: str) -> None:
    with board.page() as one, board.page() as other:
        took = []
        for number in range(3):  # a machine that stalls now and then does not stall each time
            began = time.monotonic()
            status, text = board.post(kind, "/ingest/", week=[*WEEK, number])
            assert (status, "pushed" in text) == (202, True)
            assert pushed([one, other]) == [{"text": [*WEEK, number]}] * 2
            took.append(time.monotonic() - began)
        assert min(took) < PROMISED


def test_a_page_that_talks_nonsense_stays_open(board: Board) -> None:
    with board.page() as page:
        for nonsense in ("", "{", b"\x00\xff", "[object Object]" * 1000):
            page.send(nonsense)
        page.ping().wait(WAIT)
        board.post("asgi", "/ingest/", week=WEEK)
        assert pushed([page]) == [{"text": WEEK}]


def test_a_send_that_nobody_awaits_is_told_in_the_log(board: Board) -> None:
    with board.page() as page:
        assert board.post("asgi", "/forgotten/")[0] == 202
        board.asgi.wait_for_line(r"RuntimeWarning: coroutine 'Group\.asend' was never awaited")
        board.post("asgi", "/ingest/", week=WEEK)
        assert pushed([page]) == [{"text": WEEK}]  # and nothing came before it
