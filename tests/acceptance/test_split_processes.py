"""A server and two workers on real Redis carry all kinds of traffic, also while restarted."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import http.client
import http.cookiejar
import json
import re
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest
import websockets.asyncio.client
from websockets.sync.client import connect

from tests.acceptance.conftest import Site
from tests.acceptance.processes import Process, wait_until
from tests.conftest import RedisServer

SOCKETS = 200
HTTP_CLIENTS = 16


@contextlib.contextmanager
def started(folder: Path) -> Iterator[Site]:
    """The site with its database, a server and two workers, on a Redis of its own."""
    redis = RedisServer(folder)
    site = Site(folder, redis.url)
    try:
        redis.start()
        site.manage("migrate", "--verbosity", "0")
        server = site.server()
        workers = [site.worker(ready=False) for _ in range(2)]
        server.wait_for_port(site.port)
        for worker in workers:
            worker.wait_for_line("Channels: ")
        yield site
    finally:
        site.stop()
        redis.stop()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The site, whose processes the tests leave as they are."""
    with started(tmp_path_factory.mktemp("split")) as site:
        yield site


@pytest.fixture
def own_site(tmp_path: Path) -> Iterator[Site]:
    """The site for one test alone, which may end its workers."""
    with started(tmp_path) as site:
        yield site


def read(site: Site, path: str, **options: Any) -> bytes:
    request = urllib.request.Request(site.address + path, **options)
    with urllib.request.urlopen(request, timeout=20) as answer:
        body: bytes = answer.read()
        return body


def test_every_kind_of_http_traffic_arrives_whole(site: Site) -> None:
    assert json.loads(read(site, "/?token=abc"))["token"] == "abc"
    for size in (10, 64 * 1024, 64 * 1024 + 1, 1_500_000):
        body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
        found = json.loads(read(site, "/digest/", data=body, method="POST"))
        assert found == {"length": size, "sha256": hashlib.sha256(body).hexdigest()}
    assert read(site, "/large/") == b"0123456789abcdef" * 65536
    assert read(site, "/streamed/") == b"".join(b"line %d\n" % n for n in range(100))
    site.file.write_bytes(hashlib.sha256(b"seed").digest() * (10 * 1024 * 1024 // 32))
    assert read(site, "/download/") == site.file.read_bytes()


def test_a_chunked_upload_arrives_whole(site: Site) -> None:
    parts = [b"a" * 50_000, b"b" * 50_000, b"c"]
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=20)
    connection.request("POST", "/digest/", body=iter(parts), encode_chunked=True)
    answer = json.loads(connection.getresponse().read())
    connection.close()
    assert answer["sha256"] == hashlib.sha256(b"".join(parts)).hexdigest()


def test_forms_sessions_and_the_admin_work(site: Site) -> None:
    site.env["DJANGO_SUPERUSER_PASSWORD"] = "secret"
    site.manage("createsuperuser", "--no-input", "--username", "ada", "--email", "a@example.org")
    cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
    browser = urllib.request.build_opener(cookies)

    def post(path: str, **fields: str) -> str:
        page = browser.open(site.address + path, timeout=20).read().decode()
        [token] = set(re.findall(r'csrfmiddlewaretoken" value="(\w+)"', page))
        data = urllib.parse.urlencode({**fields, "csrfmiddlewaretoken": token}).encode()
        body: str = browser.open(site.address + path, data, timeout=20).read().decode()
        return body

    assert json.loads(post("/form/", word="größe")) == {"word": "größe", "posts": 1}
    assert json.loads(post("/form/", word="x")) == {"word": "x", "posts": 2}
    assert "Site administration" in post(
        "/admin/login/?next=/admin/", username="ada", password="secret"
    )
    changelist = browser.open(f"{site.address}/admin/auth/user/", timeout=20).read().decode()
    assert "a@example.org" in changelist
    private = browser.open(f"{site.address}/private/", timeout=20).read()
    assert json.loads(private) == {"user": "ada"}


def test_a_client_that_leaves_a_stream_does_not_keep_the_worker(site: Site) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=20)
    for _ in range(4):  # more than there are workers
        connection.request("GET", "/endless/")
        assert connection.getresponse().read(10)
        connection.close()
    assert json.loads(read(site, "/?token=still"))["token"] == "still"


class Traffic:
    """Sockets and HTTP clients that ask, wait for the answer, check it and ask again."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.stopping = threading.Event()
        self.echoes = 0
        self.answers = 0
        self.workers: set[int] = set()
        self.problems: list[str] = []
        self.threads = [threading.Thread(target=self._run_sockets)]
        self.threads += [
            threading.Thread(target=self._run_http, args=(number,))
            for number in range(HTTP_CLIENTS)
        ]

    def __enter__(self) -> Self:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stopping.set()
        for thread in self.threads:
            thread.join(60)

    def _run_sockets(self) -> None:
        async def all_sockets() -> None:
            await asyncio.gather(*(self._socket(number) for number in range(SOCKETS)))

        asyncio.run(all_sockets())

    async def _socket(self, number: int) -> None:
        try:
            async with websockets.asyncio.client.connect(self.site.socket, open_timeout=30) as ws:
                count = 0
                while not self.stopping.is_set():
                    count += 1
                    await ws.send(f"{number}/{count}")
                    async with asyncio.timeout(20):
                        worker, _, text = str(await ws.recv()).partition(" ")
                    assert text == f"{number}/{count}"
                    self.workers.add(int(worker))
                    self.echoes += 1
        except Exception as error:
            self.problems.append(f"socket {number}: {error!r}")

    def _run_http(self, number: int) -> None:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.site.port, timeout=20)
            count = 0
            while not self.stopping.is_set():
                count += 1
                connection.request("GET", f"/?token={number}-{count}")
                answer = connection.getresponse()
                body = answer.read()
                assert answer.status == 200, (answer.status, body)
                assert json.loads(body)["token"] == f"{number}-{count}"
                self.answers += 1
            connection.close()
        except Exception as error:
            self.problems.append(f"http {number}: {error!r}")

    def wait_for_more(self) -> None:
        """Until all clients together have got many more answers."""
        echoes, answers = self.echoes + 5 * SOCKETS, self.answers + 5 * HTTP_CLIENTS
        wait_until(
            lambda: self.problems or (self.echoes >= echoes and self.answers >= answers),
            60,
            f"{echoes} echoes and {answers} answers",
        )
        assert self.problems == []


def test_restarting_the_workers_under_load_loses_nothing(own_site: Site) -> None:
    site = own_site
    old = [process for process in site.processes if "runworker" in process.command]
    with Traffic(site) as traffic:
        traffic.wait_for_more()
        for process in old:
            assert process.terminate() == 0, process.report()
            replacement: Process = site.worker()
            traffic.wait_for_more()
            wait_until(
                lambda new=replacement: new.pid in traffic.workers, 20, "work for the new one"
            )
    assert traffic.problems == []
    assert len(traffic.workers) == 4


def test_an_open_socket_survives_the_death_of_a_worker(own_site: Site) -> None:
    site = own_site
    victim = next(process for process in site.processes if "runworker" in process.command)
    with connect(site.socket) as ws:
        ws.send("before")
        assert str(ws.recv(timeout=10)).endswith("before")
        victim.kill()
        ws.send("after")
        assert str(ws.recv(timeout=10)).endswith("after")
