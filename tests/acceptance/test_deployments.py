"""The counter of the example site, by WSGI alone and behind nginx; and Django without a layer.

One server for everything is in ``test_counter.py``.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection

from tests.acceptance.browser import ROOT, SplitSite
from tests.acceptance.conftest import COMMANDS
from tests.acceptance.nginx import Nginx
from tests.acceptance.processes import Process, free_port
from tests.acceptance.visitor import Visitor
from tests.conftest import RedisServer

CLIENTS, PRESSES = 4, 10
WAIT = 20.0


def gunicorn(folder: Path, application: str, cwd: Path, **env: str) -> tuple[Process, int]:
    """A WSGI server, not yet started, and its port."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", application, "--workers", "2"]
    command += ["--bind", f"127.0.0.1:{port}"]
    return Process(command, log=folder / "gunicorn.log", env=env, cwd=cwd), port


def press_all(visitor: Visitor) -> list[int]:
    """What many clients at once are told, in order."""

    def press(_: int) -> list[int]:
        client = Visitor(visitor.url, visitor.context)
        return [
            json.loads(client.browser.open(f"{visitor.url}/api/counter/increment/", b"").read())[
                "value"
            ]
            for _ in range(PRESSES)
        ]

    with ThreadPoolExecutor(CLIENTS) as pool:
        return sorted(value for values in pool.map(press, range(CLIENTS)) for value in values)


def check_none_is_lost(visitor: Visitor) -> int:
    """All presses are counted; the value in the end."""
    before = json.loads(visitor.get("/api/counter/"))["value"]
    last = before + CLIENTS * PRESSES
    assert press_all(visitor) == list(range(before + 1, last + 1))
    assert f'id="value">{last}<' in visitor.get("/counter/")
    return int(last)


# A: WSGI only ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wsgi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visitor]:
    """The example site by gunicorn and nothing else."""
    folder = tmp_path_factory.mktemp("wsgi")
    env = {"VAR_FOLDER": str(folder / "var"), "REDIS_URL": "", "DEBUG": "1"}
    migrate = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
    with Process(migrate, log=folder / "migrate.log", env=env, cwd=ROOT / "workers") as migration:
        assert migration.wait(60) == 0, migration.report()
    server, port = gunicorn(folder, "project.wsgi", ROOT / "workers", **env)
    with server:
        server.wait_for_port(port)
        yield Visitor(f"http://127.0.0.1:{port}")


def test_with_wsgi_alone_all_pages_are_served_and_no_press_is_lost(wsgi: Visitor) -> None:
    assert "Echo" in wsgi.get("/echo/")
    check_none_is_lost(wsgi)
    assert "Raise the counter" in wsgi.post("/increment/")


def test_with_wsgi_alone_there_are_no_sockets(wsgi: Visitor) -> None:
    with pytest.raises(InvalidStatus), wsgi.socket("/counter/"):
        pass
    assert wsgi.get("/counter/")


VIEWS = """
from django.http import HttpResponse
from django.urls import path

def visits(request):
    request.session["visits"] = request.session.get("visits", 0) + 1
    return HttpResponse(request.session["visits"])

urlpatterns = [path("", visits)]
"""

SEND = """
from channels_classic import Channel
try:
    Channel("thumbnailer").send({"image": 1})
except Exception as error:
    print(error)
"""


def test_without_a_layer_a_project_is_ordinary_django(tmp_path: Path) -> None:
    def run(*command: str | Path) -> str:
        with Process(command, log=tmp_path / "log", cwd=tmp_path) as process:
            before = len(process.output())
            assert process.wait(60) == 0, process.report()
            return process.output()[before:]

    run(COMMANDS / "django-admin", "startproject", "plain", ".")
    (tmp_path / "plain" / "urls.py").write_text(VIEWS)
    with (tmp_path / "plain" / "settings.py").open("a") as settings:
        settings.write('\nINSTALLED_APPS += ["channels_classic"]\n')
    manage = [sys.executable, "manage.py"]
    assert "no issues" in run(*manage, "check")
    run(*manage, "migrate", "--verbosity", "0")
    assert "CHANNEL_LAYERS has no layer 'default'; it has: none" in run(
        *manage, "shell", "-c", SEND
    )
    server, port = gunicorn(tmp_path, "plain.wsgi", tmp_path)
    with server:
        server.wait_for_port(port)
        visitor = Visitor(f"http://127.0.0.1:{port}")
        assert [visitor.get("/"), visitor.get("/")] == ["1", "2"]


# C: nginx in front, pages by WSGI, sockets by ours --------------------------------------------


@pytest.fixture(scope="module")
def split() -> Iterator[Visitor]:
    """The example site as ``deploy/nginx/beside-wsgi.conf`` splits it."""
    folder = Path(tempfile.mkdtemp(prefix="channels-split-"))
    with ExitStack() as ends:
        ends.callback(shutil.rmtree, folder)
        redis = RedisServer(folder)
        ends.callback(redis.stop)
        redis.start()
        site = SplitSite(folder, redis.url)
        ends.callback(site.stop)
        site.start().add_worker("--exclude-channels", "http.*")
        server, port = gunicorn(folder, "project.wsgi", ROOT / "workers", **site.env)
        ends.enter_context(server)
        server.wait_for_port(port)
        nginx = Nginx(folder, "beside-wsgi", server_port=site.port, pages_port=port)
        ends.callback(nginx.stop)
        nginx.start()
        yield Visitor(nginx.url, nginx.context)


def hears(socket: ClientConnection, value: int) -> None:
    """Until a page's socket has shown ``value``."""
    while json.loads(socket.recv(timeout=WAIT))["value"] != value:
        pass


def test_what_a_page_of_wsgi_counts_reaches_every_socket_behind_nginx(split: Visitor) -> None:
    stored = check_none_is_lost(split)
    with split.socket("/counter/") as one, split.socket("/counter/") as other:
        for socket in (one, other):
            assert json.loads(socket.recv(timeout=WAIT)) == {"value": stored, "stored": True}
        split.post("/increment/")
        last = check_none_is_lost(split)
        assert last == stored + 1 + CLIENTS * PRESSES
        for socket in (one, other):
            hears(socket, last)
