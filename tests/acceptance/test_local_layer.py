"""``runserver`` and ``runworker`` side by side on one machine, with no Redis service."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest

from tests.acceptance.processes import free_port, wait_until
from tests.layers.private.test_server import keepers, server_id
from tests.management.project import WATCHFUL, Project

BACKEND = """
BASE_DIR = {folder!r}
CHANNEL_LAYERS["default"]["BACKEND"] = "channels_classic.layers.local.LocalChannelLayer"
"""
#: The server stays for those that come again soon; see the layer's option ``linger``.
GONE_WITHIN = 20


@pytest.fixture
def runtime(monkeypatch):
    """Where the server's folder is; the path of a socket must be short."""
    folder = Path(tempfile.mkdtemp(prefix="cc-"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    yield folder
    [made] = folder.iterdir()
    wait_until(lambda: server_id(made) is None, GONE_WITHIN, "the server to end")
    wait_until(lambda: not keepers(made), message="the keeper to end")
    shutil.rmtree(folder)


@pytest.fixture
def project(tmp_path, runtime):
    made = Project(tmp_path)
    made.add_settings(BACKEND.format(folder=str(tmp_path)))
    return made


def served(port):
    """The page, once a worker has let the server know of itself: until then it answers 503."""

    def page():
        status, text = fetch(port)
        return text if status != 503 else None

    return wait_until(page)


def fetch(port):
    """Status and text of the page."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", "/")
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def test_runserver_and_runworker_need_nothing_but_the_backend(project, runtime):
    port = free_port()
    with project.manage("runserver", "--noreload", "--noworker", str(port)) as server:
        with project.manage("runworker") as worker:
            worker.wait_for_line("Channels: ")
            server.wait_for_port(port)
            assert served(port) == "hello from the site"
            [folder] = runtime.iterdir()
            assert server_id(folder)
            worker.send_signal(signal.SIGKILL)
            worker.wait()
        assert server_id(folder)  # one is left
        with project.manage("runworker") as worker:
            worker.wait_for_line("Channels: ")
            assert served(port) == "hello from the site"
    assert (folder.stat().st_mode & 0o777) == 0o700


def test_the_reloader_of_runserver_keeps_the_server(project, runtime):
    project.add_settings(WATCHFUL)
    port = free_port()
    with project.manage("runserver", str(port)) as server:
        server.wait_for_line("site_urls.py first seen")
        server.wait_for_port(port)
        assert served(port) == "hello from the site"
        [folder] = runtime.iterdir()
        running = server_id(folder)
        urls = (project.folder / "site_urls.py").read_text()
        project.write("site_urls.py", urls.replace("hello", "welcome"))
        server.wait_for_line(r"(?s)reloading.*Channels development server at")
        server.wait_for_port(port)
        assert served(port) == "welcome from the site"
        assert server_id(folder) == running
        os.killpg(server.pid, signal.SIGINT)  # as Ctrl-C does: to the reloader and to its child
        assert server.wait() == 0
