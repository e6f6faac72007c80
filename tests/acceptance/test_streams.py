"""Answers that go out part by part: clients that read slowly or leave, servers that die, events."""

from __future__ import annotations

import http.client
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.bus import BusSite
from tests.acceptance.memory import MIB, Memory
from tests.acceptance.processes import wait_until
from tests.acceptance.soak import figures, size
from tests.conftest import RedisServer

DEADLINE = size(short=120, full=600)
pytestmark = pytest.mark.timeout(DEADLINE)

#: MiB of one answer, and what may be in use beyond the start while its client does not read.
DOWNLOAD, ROOM = size(short=64, full=200), 24


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, redis_server: RedisServer) -> Iterator[BusSite]:
    """A server, and a worker with one thread: who keeps it keeps it from all others."""
    with BusSite(tmp_path_factory.mktemp("streams"), redis_server.url) as site:
        site.server()
        site.worker("--threads", "1")
        yield site


def get(site: BusSite, path: str, **headers: str) -> http.client.HTTPResponse:
    """The answer to a GET, as far as it has come; it is the caller's to close."""
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=30)
    connection.request("GET", path, headers={**headers, "Connection": "close"})
    return connection.getresponse()


# A client that reads slowly -------------------------------------------------------------------


def test_a_view_waits_for_its_client_and_goes_on(tmp_path: Path, own_redis: RedisServer) -> None:
    own_redis.start()
    with BusSite(tmp_path, own_redis.url) as site:
        processes = [site.server("--write-timeout", str(DEADLINE)), site.worker()]
        with (
            Memory(own_redis, processes) as memory,
            get(site, f"/many/{DOWNLOAD}/") as answer,
        ):
            made = wait_until(lambda: at_rest(site), 30, "the view to wait")
            length = 0
            while part := answer.read(MIB):
                length += len(part)
    figures(
        "streams",
        f"after {made} of {DOWNLOAD} MiB the view waits for its client",
        f"memory +{memory.growth:.0f} MiB",
    )
    assert length == DOWNLOAD * MIB
    assert made < DOWNLOAD / 2
    assert memory.growth < ROOM


def at_rest(site: BusSite) -> int | None:
    """How many MiB a view has made, when the last was made more than a second ago."""
    parts = site.journal.notes("part")
    return len(parts) if parts and time.monotonic() - parts[-1].time > 1 else None


# A client that leaves -------------------------------------------------------------------------


@pytest.mark.parametrize("view", ["ticks", "async-ticks"])
def test_the_view_hears_that_its_client_has_gone(site: BusSite, view: str) -> None:
    with socket.create_connection(("127.0.0.1", site.port), timeout=30) as client:
        client.sendall(f"GET /{view}/ HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        wait_until(lambda: b"tick" in client.recv(1000), 20, "a tick")
        assert site.journal.notes("ended", view) == []
    site.wait_for_notes(1, "ended", view, timeout=20)


def test_a_long_poll_keeps_no_worker(site: BusSite) -> None:
    answers: list[bytes] = []

    def ask() -> None:
        with get(site, "/poll/") as answer:
            answers.append(answer.read())

    threads = [threading.Thread(target=ask) for _ in range(5)]  # more than worker threads
    for thread in threads:
        thread.start()
    site.wait_for_notes(5, "polls")
    site.layer.send_group("polls", {"status": 200, "content": b"news"})
    for thread in threads:
        thread.join(20)
    assert answers == [b"news"] * 5


def test_the_worker_of_a_server_that_was_killed_is_free_again(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    with BusSite(tmp_path, redis_server.url) as site:
        server = site.server()
        site.worker("--threads", "1")
        with get(site, "/endless/") as answer:
            assert answer.read(10)
            server.send_signal(signal.SIGKILL)
            server.wait()
        site.server()
        with get(site, "/many/1/") as answer:
            assert len(answer.read()) == MIB


# Events ---------------------------------------------------------------------------------------


class Listener:
    """A client of an event stream, as plain as can be: one thread that reads lines."""

    def __init__(self, site: BusSite, topic: str, last_event_id: str = "") -> None:
        self.ids: list[int] = []
        self.comments = 0
        self.has_ended = threading.Event()
        headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
        self._answer = get(site, f"/news/{topic}/", **headers)
        self.status = self._answer.status
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while line := self._answer.readline():
                if line.startswith(b"id: "):
                    self.ids.append(int(line[4:]))
                self.comments += line == b":\n"
        except (OSError, http.client.HTTPException):
            pass  # cut off
        self.has_ended.set()

    def leave(self) -> None:
        """Close the connection."""
        if not self.has_ended.is_set():
            self._answer.fp.raw._sock.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]
        self._thread.join(10)
        self._answer.close()


def publish(site: BusSite, topic: str, *numbers: int) -> None:
    """Have the worker publish these events."""
    for number in numbers:
        site.layer.send("bus.event", {"topic": topic, "number": number})
    site.wait_for_notes(1, "published", topic)
    wait_until(lambda: last(site, topic) == numbers[-1], 20, "the events to be published")


def last(site: BusSite, topic: str) -> int:
    return int(site.journal.notes("published", topic)[-1].number)


LISTENERS = 20


def test_streams_keep_no_worker_and_all_get_each_event(site: BusSite) -> None:
    listeners = [Listener(site, "many") for _ in range(LISTENERS)]
    publish(site, "many", *range(1, 11))
    for listener in listeners:
        wait_until(lambda it=listener: len(it.ids) >= 10, 20, "all events")
        assert listener.ids == list(range(1, 11))
    wait_until(lambda: listeners[0].comments, 20, "a heartbeat")
    for listener in listeners:
        listener.leave()
    wait_until(lambda: site.layer.group_count("news-many") == 0, 20, "nobody to be in the group")


def test_a_client_that_comes_back_gets_what_it_missed(site: BusSite) -> None:
    first = Listener(site, "missed")
    publish(site, "missed", 1, 2)
    wait_until(lambda: first.ids == [1, 2], 20, "two events")
    first.leave()
    publish(site, "missed", 3, 4)
    second = Listener(site, "missed", last_event_id="2")
    publish(site, "missed", 5)
    wait_until(lambda: second.ids == [3, 4, 5], 20, "what was missed, and what is new")
    second.leave()


def test_events_are_neither_missed_nor_doubled_while_clients_come(site: BusSite) -> None:
    publishing = threading.Thread(target=publish, args=(site, "busy", *range(1, 61)))
    publishing.start()
    listeners = []
    while publishing.is_alive() and len(listeners) < 30:
        listeners.append(Listener(site, "busy"))
    publishing.join()
    for listener in listeners:
        wait_until(lambda it=listener: it.ids[-1:] == [60], 20, "the last event")
        assert listener.ids == list(range(1, 61))
        listener.leave()


def test_a_stream_lives_on_when_its_workers_are_replaced(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    with BusSite(tmp_path, redis_server.url) as site:
        server, worker = site.server("--http-timeout", "1"), site.worker()
        listener = Listener(site, "lasting")
        publish(site, "lasting", 1)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        site.worker()
        publish(site, "lasting", 2)
        wait_until(lambda: listener.ids == [1, 2], 20, "an event by the new worker")
        assert not listener.has_ended.is_set()
        assert server.terminate() == 0
        assert listener.has_ended.wait(10), "a server that stops should end its streams"
        listener.leave()
