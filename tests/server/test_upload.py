"""Request bodies on their way: what is kept on disk, what is refused, and who has to wait."""

from __future__ import annotations

import asyncio
import errno
import logging
import tempfile
import threading
from pathlib import Path

import pytest

from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.server import InterfaceServer, body, upload
from channels_classic.server.body import BLOCK, Spool
from tests.server.ends import Request, Workers, until

PART = 64 * 1024
LOGGER = "channels_classic.server"
HTTP_1 = {"http_version": "1.1", "method": "POST"}


def length(number: int) -> list[tuple[bytes, bytes]]:
    return [(b"content-length", b"%d" % number)]


def pattern(size: int) -> bytes:
    """Bytes of which no two parts are equal."""
    return b"".join(b"%15d\n" % number for number in range(size // 16 + 1))[:size]


# The spool ------------------------------------------------------------------------------------


async def parts_of(spool: Spool, size: int) -> list[bytes]:
    return [part async for part in spool.parts(size)]


@pytest.mark.parametrize("chunk", [1000, PART, BLOCK, 3 * BLOCK])
@pytest.mark.parametrize("total", [0, 1, PART, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 5])
async def test_a_spool_gives_what_it_was_given(total, chunk):
    data, spool = pattern(total), Spool()
    for start in range(0, total, chunk):
        await spool.add(data[start : start + chunk])
    assert spool.size == total
    found = await parts_of(spool, PART)
    spool.close()
    assert b"".join(found) == data
    assert all(len(part) == PART for part in found[:-1])


@pytest.mark.parametrize("size", [1000, 100_003, 2 * BLOCK])
async def test_the_parts_have_any_size(size):
    data, spool = pattern(3 * BLOCK), Spool()
    await spool.add(data)
    found = await parts_of(spool, size)
    spool.close()
    assert (b"".join(found), {len(part) for part in found[:-1]}) == (data, {size})


async def test_a_body_under_the_size_of_a_block_needs_no_file(monkeypatch):
    monkeypatch.setattr(body, "tempfile", None)
    spool = Spool()
    await spool.add(b"x" * (BLOCK - 1))
    assert sum(map(len, await parts_of(spool, PART))) == BLOCK - 1
    spool.close()


@pytest.fixture
def files(monkeypatch):
    """The temporary files that are made; each knows the threads that wrote to it."""
    made = []

    class File:
        def __init__(self, file):
            self.file = file
            self.threads = set()

        def __getattr__(self, name):
            return getattr(self.file, name)

        def write(self, data):
            self.threads.add(threading.get_ident())
            return self.file.write(data[:70_000])  # as a system may

    make = tempfile.TemporaryFile
    monkeypatch.setattr(
        tempfile, "TemporaryFile", lambda **kwargs: made.append(File(make(**kwargs))) or made[-1]
    )
    return made


async def test_a_file_is_written_by_other_threads_and_removed_at_the_end(files):
    data, spool = pattern(2 * BLOCK + 3), Spool()
    await spool.add(data)
    assert b"".join(await parts_of(spool, PART)) == data
    spool.close()
    await until(lambda: files[0].closed)
    assert threading.get_ident() not in files[0].threads


async def test_a_slow_disk_does_not_hold_up_the_others(files, request_to, workers, monkeypatch):
    stuck, free = threading.Event(), threading.Event()

    def write(self, data):
        stuck.set()
        assert free.wait(10)
        return len(data)

    client = request_to(b"x" * BLOCK, b"y")
    monkeypatch.setattr(Spool, "_write", write)
    await until(stuck.is_set)
    other = Request(client.app).start()
    message = await workers.take("http.request")
    await workers.reply(message, status=200, content=b"meanwhile")
    assert (await other.answer())[2] == b"meanwhile"
    free.set()
    client.leave()


async def test_the_file_of_a_client_that_leaves_is_removed(files, server, workers):
    client = Request(server())
    client.incoming.get_nowait()
    client.upload(b"x" * (2 * BLOCK), more=True)
    client.leave()
    assert await client.start().done() == []
    await until(lambda: files[0].closed)
    assert workers.waiting("http.request") == 0


# A full disk ----------------------------------------------------------------------------------


@pytest.fixture
def full_disk(monkeypatch):
    """Every write to a temporary file fails as on a full disk."""
    made = []

    def make(**kwargs):
        made.append(Path("/dev/full").open("wb", buffering=0))  # noqa: SIM115 - the spool does
        return made[-1]

    monkeypatch.setattr(tempfile, "TemporaryFile", make)
    return made


async def test_a_full_disk_is_507_and_logged(full_disk, request_to, workers, caplog):
    client = request_to(b"x" * BLOCK, b"y", path="/upload", **HTTP_1)
    with caplog.at_level(logging.ERROR, LOGGER):
        status, headers, page = await client.answer()
    assert (status, headers[b"connection"]) == (507, b"close")
    assert b"no room" in page
    [record] = caplog.records
    assert "Cannot store the body of a request to /upload" in record.message
    assert f"Errno {errno.ENOSPC}" in record.message
    assert workers.waiting("http.request") == 0
    await until(lambda: full_disk[0].closed)


async def test_a_full_disk_is_no_trouble_for_the_next_request(full_disk, server, workers):
    app = server()
    await Request(app, b"x" * BLOCK, **HTTP_1).start().answer()
    client = Request(app, b"x" * (BLOCK - 1), **HTTP_1).start()
    message = await workers.take("http.request")
    await workers.reply(message, status=200)
    assert (await client.answer())[0] == 200


# Refused while the client still sends ---------------------------------------------------------


async def test_a_refusal_is_read_before_the_connection_is_cut(request_to):
    """To cut a connection with unread bytes in it would take the answer from its client."""
    client = request_to(b"x", options={"max_body": 10}, headers=length(11), **HTTP_1)
    head = await client.next_event()
    assert (head["status"], dict(head["headers"])[b"connection"]) == (413, b"close")
    page = await client.next_event()
    assert (b"10 bytes at most" in page["body"], page["more_body"]) == (True, True)
    client.leave()
    assert [event["more_body"] for event in await client.done()] == [False]


async def test_nothing_is_read_before_the_refusal(request_to):
    """So that no ``100 Continue`` asks for what is not wanted."""
    client = request_to(b"x", options={"max_body": 10}, headers=length(11), **HTTP_1)
    client.stop_reading()
    await asyncio.wait_for(client.sending.wait(), 5)
    assert client.received == 0
    client.read_again()
    client.leave()
    await client.done()


async def test_a_client_that_never_stops_sending_is_cut(request_to, monkeypatch):
    monkeypatch.setattr(upload, "LINGER", 0.1)
    client = request_to(b"x", options={"max_body": 10}, headers=length(11), **HTTP_1)
    client.incoming.get_nowait()  # it sends nothing at all
    assert (await client.answer())[0] == 413


async def test_a_refused_body_is_read_to_its_end_and_not_kept(request_to, files):
    client = request_to(b"x" * BLOCK, b"y" * BLOCK, options={"max_body": 10}, **HTTP_1)
    assert (await client.answer())[0] == 413
    assert client.received == 2
    assert files == []


@pytest.mark.parametrize(
    ("scope", "cut"),
    [
        ({"headers": length(3)}, True),
        ({"headers": [(b"transfer-encoding", b"chunked")]}, True),
        ({"headers": length(0)}, False),
        ({"headers": []}, False),
        ({"headers": length(3), "http_version": "2"}, False),
    ],
)
async def test_a_connection_ends_with_a_refusal_only_if_there_is_a_body_in_the_way(
    server, scope, cut
):
    client = Request(server(), b"abc", **{**HTTP_1, **scope}).start()
    status, headers, _ = await client.answer()
    assert (status, b"connection" in headers) == (503, cut)


async def test_a_request_whose_body_has_come_keeps_its_connection():
    layer = InMemoryChannelLayer(capacity=1)
    Workers(layer).read("http.request")
    layer.send("http.request", {"path": "/before"})
    app = InterfaceServer(layer, full_wait=0.01)
    client = Request(app, b"abc", headers=length(3), **HTTP_1).start()
    status, headers, _ = await client.answer()
    assert (status, b"connection" in headers) == (503, False)


# To the worker --------------------------------------------------------------------------------


async def test_the_time_to_answer_begins_when_the_worker_has_the_body():
    layer = InMemoryChannelLayer(channel_capacity={"http.request.body*": 1})
    workers = Workers(layer)
    workers.read("http.request")
    app = InterfaceServer(layer, body_part=10, http_timeout=2)
    client = Request(app, b"x" * 80).start()
    message = await workers.take("http.request")
    for _ in range(7):  # it takes longer than the timeout for all of it
        await asyncio.sleep(0.4)
        await workers.take(message["body_channel"])
    await workers.reply(message, status=200, content=b"all of it")
    assert (await client.answer())[2] == b"all of it"


async def test_a_worker_that_stops_taking_the_body_is_given_up():
    layer = InMemoryChannelLayer(channel_capacity={"http.request.body*": 1})
    workers = Workers(layer)
    workers.read("http.request")
    client = Request(InterfaceServer(layer, body_part=10, http_timeout=1), b"x" * 80).start()
    message = await workers.take("http.request")
    await workers.take(message["body_channel"])
    assert (await client.answer())[0] == 504


async def test_a_file_that_cannot_be_read_again_is_logged(request_to, workers, monkeypatch, caplog):
    client = request_to(b"x" * (3 * BLOCK), options={"http_timeout": 1})

    def read(self, start, size):
        if start:
            raise OSError(errno.EIO, "broken disk")
        return b"x" * size

    monkeypatch.setattr(Spool, "_read", read)
    await workers.take("http.request")
    assert (await client.answer())[0] == 504
    assert "The body of a request did not get through: [Errno 5] broken disk" in caplog.text


async def test_two_uploads_get_on_beside_each_other(server, workers):
    app = server(body_part=1000)
    data = pattern(20_000)
    clients = [Request(app, data, path=f"/{number}").start() for number in range(2)]
    messages = [await workers.take("http.request") for _ in clients]
    bodies = [message["body"] for message in messages]
    for _ in range(19):  # in turn: neither waits for the other
        for number, message in enumerate(messages):
            bodies[number] += (await workers.take(message["body_channel"]))["content"]
    assert bodies == [data, data]
    for message in messages:
        await workers.reply(message, status=200)
    assert [(await client.answer())[0] for client in clients] == [200, 200]
