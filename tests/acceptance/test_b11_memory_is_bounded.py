"""B11: memory is bounded in the servers, in the workers and on the bus, whatever clients do."""

from __future__ import annotations

import hashlib
import http.client
import json
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from channels_classic.exceptions import ChannelFull
from tests.acceptance.bus import BusSite
from tests.acceptance.memory import MIB, Memory
from tests.acceptance.processes import wait_until
from tests.acceptance.soak import figures, size
from tests.conftest import RedisServer

#: What may be in use beyond the start, in MiB; all that goes through is a multiple of it.
ROOM = 24
TEXT = "x" * 16 * 1024
#: Entries in the inbox of a server, after which it misses sends to groups.
LIMIT = 500
DEADLINE = size(short=100, full=1800)
pytestmark = pytest.mark.timeout(DEADLINE)


@pytest.fixture
def site(tmp_path: Path, own_redis: RedisServer) -> Iterator[BusSite]:
    own_redis.start()
    with BusSite(tmp_path, own_redis.url, inbox_limit=LIMIT) as site:
        yield site


def count(site: BusSite, channel: str, counter: str) -> int:
    return int(site.layer.channel_statistics(channel)[f"{counter}_count"])


def joined(site: BusSite, number: int) -> str:
    """The process of the sockets that have joined the group, once there are so many."""
    note = site.wait_for_notes(number, "joined")[-1]
    return note.who.partition("!")[0] + "!"


DEAF = size(short=6, full=50)


def test_a_client_that_never_reads_is_closed_with_1013(
    site: BusSite, own_redis: RedisServer
) -> None:
    processes = [site.server(), site.worker()]
    sends = 0
    with connect(site.url("/group/")) as reader, Memory(own_redis, processes) as memory:
        for number in range(DEAF):
            with connect(site.url("/group/"), ping_interval=None) as deaf:
                process = joined(site, number + 2)
                while count(site, process, "overflow") == number:
                    site.layer.send_group("listeners", {"text": TEXT})
                    assert reader.recv(timeout=10) == TEXT, "others get everything"
                    sends += 1
                assert code_of(deaf) == 1013
    sent = sends * len(TEXT) / MIB
    figures("B11", f"{DEAF} deaf clients", f"{sent:.0f} MiB", f"memory +{memory.growth:.0f} MiB")
    assert memory.growth < ROOM
    assert count(site, process, "overflow") == DEAF


def code_of(socket: ClientConnection) -> int | None:
    """The code that a socket was closed with, once all before it has been read."""
    try:
        while True:
            socket.recv(timeout=10)
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else None


FLOOD = size(short=4_000, full=100_000)


class Flood(threading.Thread):
    """Sends numbered messages as fast as the socket takes them."""

    def __init__(self, socket: ClientConnection) -> None:
        super().__init__()
        self.sent = 0
        self._socket = socket

    def run(self) -> None:
        for number in range(FLOOD):
            self._socket.send(f"{number} {TEXT}")
            self.sent += 1


def test_a_socket_that_floods_a_slow_consumer_has_to_wait(
    site: BusSite, own_redis: RedisServer
) -> None:
    processes = [site.server(), site.worker(), site.worker()]
    most = 0
    with (
        connect(site.url("/flood/"), ping_interval=None) as socket,
        Memory(own_redis, processes) as memory,
    ):
        flood = Flood(socket)
        flood.start()

        def all_ran() -> bool:
            nonlocal most
            ran = site.journal.count()
            most = max(most, flood.sent - ran)
            return ran == FLOOD

        wait_until(all_ran, DEADLINE, "all messages to be run")
        flood.join(10)
    total = FLOOD * len(TEXT) / MIB
    figures(
        "B11",
        f"a flood of {total:.0f} MiB",
        f"at most {most} of {FLOOD} messages under way",
        f"memory +{memory.growth:.0f} MiB",
    )
    assert [int(note.number) for note in site.journal.read()] == list(range(FLOOD))
    assert memory.growth < ROOM
    # The system buffers some MiB on each side; the rest has to wait in the client.
    assert most * len(TEXT) / MIB < ROOM


BEHIND = 4_000


def test_a_client_is_not_blamed_for_pongs_that_its_server_has_not_read(site: BusSite) -> None:
    site.server("--ping-interval", "0.5", "--ping-timeout", "1")
    site.worker()
    with connect(site.url("/flood/"), ping_interval=None) as socket:
        for number in range(BEHIND):  # they fit into the buffers of the system: some seconds' work
            socket.send(f"{number} ")
        wait_until(lambda: site.journal.count() == BEHIND, 90, "all messages to be run")
        assert socket.ping().wait(10), "the socket should still be open"


UPLOAD = size(short=64, full=900) * MIB


def test_a_large_upload_is_never_held_in_memory(site: BusSite, own_redis: RedisServer) -> None:
    processes = [site.server(), site.worker()]
    part = bytes(range(256)) * 256
    parts = UPLOAD // len(part)
    with Memory(own_redis, processes) as memory:
        connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=DEADLINE)
        body = (part for _ in range(parts))
        connection.request("POST", "/digest/", body=body, headers={"Content-Length": str(UPLOAD)})
        found = json.loads(connection.getresponse().read())
        connection.close()
    figures("B11", f"an upload of {UPLOAD // MIB} MiB", f"memory +{memory.growth:.0f} MiB")
    sha = hashlib.sha256()
    for _ in range(parts):
        sha.update(part)
    assert found == {"length": UPLOAD, "sha256": sha.hexdigest()}
    assert memory.growth < ROOM


def test_a_download_that_nobody_reads_stops(site: BusSite, own_redis: RedisServer) -> None:
    processes = [site.server(), site.worker()]
    with Memory(own_redis, processes) as memory:
        connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=10)
        connection.request("GET", "/endless/")
        assert connection.getresponse().read(10)
        parts = wait_until(lambda: at_rest(site), 30, "the view to wait for its client")
        connection.close()
    figures(
        "B11",
        f"an endless answer waits after {parts / 16:.0f} MiB",
        f"memory +{memory.growth:.0f} MiB",
    )
    assert memory.growth < ROOM
    connection.request("POST", "/digest/", body=b"x")  # the worker is free again
    assert json.loads(connection.getresponse().read())["length"] == 1
    connection.close()


def at_rest(site: BusSite) -> int | None:
    """How many parts a view has made, when the last one was made more than a second ago."""
    parts = site.journal.notes("part")
    return len(parts) if parts and time.monotonic() - parts[-1].time > 1 else None


SENDS = 10_000
SHORTER = "x" * 4 * 1024


def test_the_inbox_of_a_server_that_stands_still_does_not_grow_without_bound(
    site: BusSite, own_redis: RedisServer
) -> None:
    server = site.server()
    site.worker()
    with connect(site.url("/group/")) as socket, Memory(own_redis, [server]) as memory:
        process = joined(site, 1)
        server.send_signal(signal.SIGSTOP)
        for _ in range(SENDS):
            site.layer.send_group("listeners", {"text": SHORTER})
        missed = count(site, process, "missed")
        server.send_signal(signal.SIGCONT)
        for _ in range(SENDS - missed):
            assert socket.recv(timeout=10) == SHORTER
        site.layer.send_group("listeners", {"text": "still here"})
        assert socket.recv(timeout=10) == "still here"
    figures(
        "B11",
        f"{SENDS:,} sends to a server that stood still",
        f"{missed:,} missed and counted",
        f"memory +{memory.growth:.0f} MiB",
    )
    assert SENDS - missed <= LIMIT
    assert memory.growth < ROOM


def test_a_client_that_reads_stays_while_its_server_catches_up(site: BusSite) -> None:
    server = site.server()
    site.worker()
    text = "x" * 12 * 1024  # the limit of one socket's share in the server is 4 MiB
    with connect(site.url("/group/")) as socket:
        process = joined(site, 1)
        server.send_signal(signal.SIGSTOP)
        for _ in range(LIMIT - 1):
            site.layer.send_group("listeners", {"text": text})
        server.send_signal(signal.SIGCONT)
        for _ in range(LIMIT - 1):
            assert socket.recv(timeout=10) == text
    assert count(site, process, "missed") == 0
    assert count(site, process, "overflow") == 0


def test_replies_to_a_server_that_stands_still_are_refused(
    site: BusSite, own_redis: RedisServer
) -> None:
    server = site.server()
    site.worker()
    with connect(site.url("/group/")) as socket:
        joined(site, 1)
        [note] = site.journal.notes("joined")
        server.send_signal(signal.SIGSTOP)
        sent = until_full(site, note.who)
        server.send_signal(signal.SIGCONT)
        for number in range(sent):
            assert socket.recv(timeout=10) == str(number)
    assert 1 <= sent <= site.layer.capacity


def until_full(site: BusSite, channel: str) -> int:
    """How many replies a channel takes before it refuses one."""
    for number in range(10 * site.layer.capacity):
        try:
            site.layer.send(channel, {"text": str(number)})
        except ChannelFull:
            return number
    raise AssertionError("the channel is never full")
