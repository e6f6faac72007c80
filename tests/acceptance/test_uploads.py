"""Uploads through the server, Redis and a worker: large ones, refused ones, and full disks."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import resource
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.bus import BusSite
from tests.acceptance.memory import MIB, Memory
from tests.acceptance.processes import Process, wait_until
from tests.acceptance.soak import figures, size
from tests.conftest import RedisServer

DEADLINE = size(short=120, full=1800)
pytestmark = pytest.mark.timeout(DEADLINE)

UPLOAD = size(short=192, full=4096) * MIB
#: What the processes and Redis may use for it beyond their start, in MiB.
ROOM, REDIS_ROOM = 50, 16
#: What the server takes in the tests of its refusals.
MOST = 32 * MIB
PART = bytes(range(256)) * 256


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, redis_server: RedisServer) -> Iterator[BusSite]:
    """One server, which takes ``MOST`` bytes at most, and one worker with one thread."""
    with BusSite(tmp_path_factory.mktemp("uploads"), redis_server.url) as site:
        site.server("--max-body", str(MOST))
        site.worker("--threads", "1")
        yield site


@pytest.fixture
def server(site: BusSite) -> Process:
    return site.processes[0]


def ask(site: BusSite, path: str, body: object, **headers: str) -> tuple[int, bytes]:
    """Status and content of the answer to a POST."""
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=DEADLINE)
    try:
        connection.request("POST", path, body=body, headers=headers)  # type: ignore[arg-type]
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def form(length: int) -> tuple[Iterator[bytes], dict[str, str]]:
    """A form with one file, and its headers."""
    head = (
        b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n'
        b"Content-Type: application/octet-stream\r\n\r\n"
    )
    tail = b"\r\n--edge--\r\n"

    def parts() -> Iterator[bytes]:
        yield head
        yield from (PART for _ in range(length // len(PART)))
        yield tail

    headers = {
        "Content-Type": "multipart/form-data; boundary=edge",
        "Content-Length": str(len(head) + length + len(tail)),
    }
    return parts(), headers


def test_a_large_file_is_never_held_in_memory(tmp_path: Path, own_redis: RedisServer) -> None:
    own_redis.start()
    parts, headers = form(UPLOAD)
    began = time.monotonic()
    with BusSite(tmp_path, own_redis.url) as site:
        processes = [site.server("--max-body", str(2 * UPLOAD)), site.worker()]
        with Memory(own_redis, processes) as memory:
            status, answer = ask(site, "/file/", parts, **headers)
    on_redis, in_server, in_worker = memory.growths
    figures(
        "uploads",
        f"{UPLOAD // MIB} MiB in {time.monotonic() - began:.0f} s",
        f"server +{in_server:.0f} MiB, Redis +{on_redis:.0f} MiB, worker +{in_worker:.0f} MiB",
    )
    sha = hashlib.sha256()
    for _ in range(UPLOAD // len(PART)):
        sha.update(PART)
    assert (status, json.loads(answer)) == (200, {"length": UPLOAD, "sha256": sha.hexdigest()})
    assert max(in_server, in_worker) < ROOM
    assert on_redis < REDIS_ROOM


def test_a_slow_upload_does_not_hold_up_another(site: BusSite) -> None:
    with socket.create_connection(("127.0.0.1", site.port), timeout=30) as slow:
        slow.sendall(
            b"POST /digest/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3000000\r\n\r\n"
        )
        slow.sendall(b"x" * 2_000_000)
        status, answer = ask(site, "/digest/", PART * 30)
        assert (status, json.loads(answer)["length"]) == (200, len(PART) * 30)
        slow.sendall(b"x" * 1_000_000)
        assert slow.recv(100).startswith(b"HTTP/1.1 200")


def test_a_client_that_leaves_its_upload_leaves_nothing_behind(
    site: BusSite, server: Process
) -> None:
    before = open_files(server)
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", site.port), timeout=30) as client:
            client.sendall(
                b"POST /file/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n\r\n"
            )
            client.sendall(b"x" * 5_000_000)
    wait_until(lambda: open_files(server) <= before, 20, "files and connections to be closed")
    assert ask(site, "/digest/", b"x")[0] == 200
    assert site.journal.notes("file") == []


def open_files(server: Process) -> int:
    """How many temporary files and TCP connections a process has open."""
    found = 0
    for each in Path(f"/proc/{server.pid}/fd").iterdir():
        try:
            target = os.readlink(each)
        except FileNotFoundError:
            continue
        found += "(deleted)" in target or target.startswith("socket:")
    return found


# Refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize("expect", [False, True], ids=["at once", "after a 100 Continue"])
def test_a_body_that_is_announced_too_long_is_refused_unread(site: BusSite, expect: bool) -> None:
    head = f"POST /digest/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: {MOST + 1}\r\n"
    head += "Expect: 100-continue\r\n" if expect else ""
    with socket.create_connection(("127.0.0.1", site.port), timeout=30) as client:
        client.sendall(f"{head}\r\n".encode())
        answer = received(client)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"connection: close" in answer
    assert b"100 Continue" not in answer


def test_a_body_that_is_wanted_is_asked_for(site: BusSite) -> None:
    with socket.create_connection(("127.0.0.1", site.port), timeout=30) as client:
        client.sendall(
            b"POST /digest/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n"
            b"Expect: 100-continue\r\nConnection: close\r\n\r\n"
        )
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"abc")
        assert received(client).startswith(b"HTTP/1.1 200")


def received(client: socket.socket) -> bytes:
    """All until the server closes."""
    return b"".join(iter(lambda: client.recv(65536), b""))


def test_a_client_reads_why_its_endless_upload_is_refused(site: BusSite) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=30)
    body = (PART for _ in range((MOST + 8 * MIB) // len(PART)))  # so much is thrown away
    connection.request("POST", "/digest/", body=body, encode_chunked=True)
    answer = connection.getresponse()
    assert answer.status == 413
    assert f"{MOST:,} bytes at most" in answer.read().decode()
    connection.close()


def test_a_full_disk_is_507_and_the_server_goes_on(site: BusSite, server: Process) -> None:
    before = open_files(server)
    most = 8 * MIB  # no file of the server may be longer: it fails as if the disk were full
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))
    status, page = ask(site, "/digest/", PART * (2 * most // len(PART)))
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    assert (status, b"no room" in page) == (507, True)
    server.wait_for_line("Cannot store the body of a request to /digest/: .*File too large")
    status, answer = ask(site, "/digest/", PART * 32)
    assert (status, json.loads(answer)["length"]) == (200, 2 * MIB)
    wait_until(lambda: open_files(server) <= before, 20, "files and connections to be closed")
