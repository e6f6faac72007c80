"""deploy/nginx as it stands, but for names, ports and folders: Debian's nginx, TLS and HTTP/2."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from tests.acceptance.conftest import SITE, Site
from tests.acceptance.nginx import HOST, Nginx
from tests.acceptance.processes import Process, free_port, wait_until
from tests.acceptance.visitor import Visitor
from tests.conftest import RedisServer


class Proxied(Nginx):
    """The acceptance site behind nginx, with one of the site files."""

    def __init__(self, folder: Path, config: str) -> None:
        self.redis = RedisServer(folder)
        self.redis.start()
        self.site = Site(folder, self.redis.url)
        self.log = folder / "access.log"
        self.pages_port = free_port()
        super().__init__(folder, config, server_port=self.site.port, pages_port=self.pages_port)

    def start(self) -> None:
        """Start all of it, and wait until it answers."""
        options = ["--proxy-headers", "127.0.0.1", "--access-log", str(self.log)]
        self.site.server(*options).wait_for_port(self.site.port)
        if self.config == "everything":
            self.site.worker()
        else:
            self.site.worker("--exclude-channels", "http.*")
            self._gunicorn().wait_for_port(self.pages_port)
        super().start()

    def _gunicorn(self) -> Process:
        command = [sys.executable, "-m", "gunicorn", "pages.wsgi"]
        command += ["--bind", f"127.0.0.1:{self.pages_port}"]
        log = self.folder / "gunicorn.log"
        self.site.processes.append(Process(command, log=log, env=self.site.env, cwd=SITE))
        return self.site.processes[-1].start()

    def seen(self, *options: str) -> dict[str, Any]:
        """How a view sees a request."""
        found: dict[str, Any] = json.loads(self.curl("/seen/", *options)[1])
        return found

    def stop(self) -> None:
        """End all."""
        super().stop()
        self.site.stop()
        self.redis.stop()


@pytest.fixture(scope="module", params=["everything", "beside-wsgi"])
def site(request: pytest.FixtureRequest) -> Iterator[Proxied]:
    folder = Path(tempfile.mkdtemp(prefix="channels-nginx-"))
    proxied = Proxied(folder, request.param)
    try:
        proxied.start()
        yield proxied
    finally:
        proxied.stop()
        shutil.rmtree(folder)


def test_pages_come_by_http2(site: Proxied) -> None:
    said, body = site.curl("/?token=abc")
    assert (said["version"], said["status"]) == ("2", "200")
    found = json.loads(body)
    assert found["token"] == "abc"
    workers = {each.popen.pid for each in site.site.processes if "worker" in each.log.name}
    assert (found["worker"] in workers) is (site.config == "everything")


def test_pages_come_by_http1_too(site: Proxied) -> None:
    assert site.curl("/", "--http1.1")[0]["version"] == "1.1"


def test_plain_http_is_sent_to_tls(site: Proxied) -> None:
    command = [
        "curl",
        "--silent",
        "--max-time",
        "30",
        "--write-out",
        "%{http_code} %{redirect_url}",
    ]
    url = f"http://{HOST}:{site.plain_port}/form/?a=1"
    done = subprocess.run([*command, url], capture_output=True, timeout=60, check=True)
    assert done.stdout.endswith(f"301 https://{HOST}/form/?a=1".encode())


def test_a_view_sees_the_client_and_the_scheme(site: Proxied) -> None:
    found = site.seen("--interface", "127.0.0.2")
    assert found["host"] == f"{HOST}:{site.port}"
    if site.config == "everything":
        assert (found["scheme"], found["address"]) == ("https", "127.0.0.2")


@pytest.mark.parametrize("name", ["X-Forwarded-For", "X_Forwarded_For"])
def test_a_client_cannot_make_up_its_address(site: Proxied, name: str) -> None:
    assert site.seen("--header", f"{name}: 6.6.6.6")["address"] == "127.0.0.1"


def test_a_client_cannot_make_up_its_scheme(site: Proxied) -> None:
    forged = site.seen("--header", "X-Forwarded-Proto: gopher")
    assert forged["scheme"] == site.seen()["scheme"]


@pytest.mark.parametrize("way", ["length", "chunked"])
def test_a_long_upload_arrives_whole(site: Proxied, way: str) -> None:
    body = bytes(range(256)) * 10_000  # Django takes 2.5 MiB
    file = site.folder / "upload.bin"
    file.write_bytes(body)
    chunked = ["--http1.1", "--header", "Transfer-Encoding: chunked"] if way == "chunked" else []
    found = json.loads(site.curl("/digest/", "--data-binary", f"@{file}", *chunked)[1])
    assert found == {"length": len(body), "sha256": hashlib.sha256(body).hexdigest()}


def test_a_streamed_answer_arrives_whole(site: Proxied) -> None:
    assert site.curl("/streamed/")[1] == b"".join(b"line %d\n" % n for n in range(100))
    assert site.curl("/large/")[1] == b"0123456789abcdef" * 65536


def test_static_files_are_nginxs_own(site: Proxied) -> None:
    said, body = site.curl("/static/site.css")
    assert (said["type"], body) == ("text/css", b"body { color: black }")


def test_the_probes_are_not_for_the_world(site: Proxied) -> None:
    assert site.curl("/-/readyz")[0]["status"] == "404"


def test_a_socket_echoes_and_its_address_is_the_clients(site: Proxied) -> None:
    with site.socket(source_address=("127.0.0.3", 0)) as client:
        for number in range(20):
            client.send(f"message {number}")
            assert str(client.recv(timeout=30)).endswith(f"message {number}")
    line = re.compile(r"^127\.0\.0\.3\b.*WSDISCONNECT /echo/", re.MULTILINE)
    wait_until(lambda: line.search(site.log.read_text()), 30, "the line of the access log")


def test_a_socket_knows_who_has_logged_in_on_a_page(site: Proxied) -> None:
    """Also when the page was a WSGI server's: the cookie and the database are the same."""
    site.site.manage("migrate", "--verbosity", "0")
    site.site.env["DJANGO_SUPERUSER_PASSWORD"] = "secret"
    site.site.manage("createsuperuser", "--no-input", "--username=ada", "--email=a@example.org")
    visitor = Visitor(site.url, site.context)
    with visitor.socket("/who/") as before:
        assert before.recv(timeout=30) == "nobody"
    visitor.log_in("ada", "secret")
    with visitor.socket("/who/") as after:
        assert after.recv(timeout=30) == "ada"


def test_a_page_of_another_site_gets_no_socket(site: Proxied) -> None:
    with pytest.raises(InvalidStatus) as caught, site.socket(origin="https://evil.example"):
        pass
    assert caught.value.response.status_code == 403


def test_what_is_no_websocket_is_not_upgraded(site: Proxied) -> None:
    """Such as HTTP/2 by that way, whose requests nginx would not see."""
    context = site.context
    with (
        socket.create_connection(("127.0.0.1", site.port), 30) as plain,
        context.wrap_socket(plain, server_hostname=HOST) as client,
    ):
        client.sendall(
            f"GET / HTTP/1.1\r\nHost: {HOST}:{site.port}\r\nUpgrade: h2c\r\nConnection: Upgrade, "
            "HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n".encode()
        )
        assert client.recv(1000).startswith(b"HTTP/1.1 200 ")


def test_the_server_may_go_and_come_back(site: Proxied) -> None:
    """nginx finds it again; pages that a WSGI server makes were there all the time."""
    [server] = [each for each in site.site.processes if each.log.name == "server.log"]
    server.stop()
    status = site.curl("/")[0]["status"]
    assert status == ("502" if site.config == "everything" else "200")
    server.start().wait_for_port(site.site.port)
    wait_until(lambda: site.curl("/")[0]["status"] == "200", 60, "a page again")
    with site.socket() as client:
        client.send("again")
        assert str(client.recv(timeout=30)).endswith("again")
