"""The guard of HTTP: what a client may not do, or not for ever, and what it is told."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import json
import os
import socket
import ssl
import struct
import sys
import threading
import time
from pathlib import Path

import pytest
import uvicorn

from channels_classic.layers.counters import Counter
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.server import InterfaceServer
from channels_classic.server.engines import census as census_module
from channels_classic.server.engines import pace, uvicorn_connection
from channels_classic.server.engines.uvicorn_config import UvicornConfig
from channels_classic.server.engines.uvicorn_http import PIPELINE, HttpProtocol
from channels_classic.server.engines.uvicorn_server import UvicornEngine
from channels_classic.server.engines.uvicorn_websocket import SocketProtocol
from channels_classic.server.options import Limits, Listen
from channels_classic.server.sockets import opened
from tests.acceptance.processes import Process, free_port, wait_until
from tests.certificates import make_certificate
from tests.server.ends import until
from tests.server.wire import chunk, handshake, post, request, split_answer

#: What the shared server allows, and how long a client here waits for what must come.
MAX_HEAD, MAX_FIELDS, PATIENCE = 8192, 30, 40
LAST = request("Connection: close")
CHUNKED = "Transfer-Encoding: chunked"
END = b"0\r\n\r\n"


class App:
    """What is served, and what became of it."""

    def __init__(self):
        self.noted = collections.Counter()
        self.texts = []
        self.left = threading.Event()
        self.go_on = threading.Event()

    def note(self, counter, text):
        self.noted[Counter(counter)] += 1
        self.texts.append(text)

    async def __call__(self, scope, receive, send):
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            while (await receive())["type"] != "websocket.disconnect":
                pass
        elif scope["type"] == "http":
            await getattr(self, scope["path"].strip("/"))(scope, receive, send)

    async def hello(self, scope, receive, send):
        await answer(send, b"hello")

    async def length(self, scope, receive, send):
        """How long the body is."""
        size, more = 0, True
        while more:
            event = await receive()
            if event["type"] == "http.disconnect":
                self.left.set()
                return
            size, more = size + len(event["body"]), event["more_body"]
        await answer(send, b"%d" % size)

    async def shown(self, scope, receive, send):
        """The head, when the body has come."""
        while (await receive())["more_body"]:
            pass
        shown = {key: scope[key] for key in ("method", "path", "http_version")}
        shown["headers"] = [[each.decode() for each in pair] for pair in scope["headers"]]
        await answer(send, json.dumps(shown).encode())

    async def early(self, scope, receive, send):
        """An answer before the body has come."""
        await answer(send, b"too much", status=413)

    async def held(self, scope, receive, send):
        """An answer when the test says so."""
        await until(self.go_on.is_set)
        await answer(send, b"held")

    async def parts(self, scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for number in range(3):
            await send({"type": "http.response.body", "body": b"part", "more_body": number < 2})

    async def endless(self, scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        watching = asyncio.create_task(receive())
        while not (watching.done() and watching.result()["type"] == "http.disconnect"):
            if watching.done():
                watching = asyncio.create_task(receive())
            await send({"type": "http.response.body", "body": bytes(65536), "more_body": True})
            await asyncio.sleep(0)
        self.left.set()

    async def wrong(self, scope, receive, send):
        """A length that is not that of the content."""
        await send({"type": "http.response.start", "status": 200, "headers": FIVE})
        await send({"type": "http.response.body", "body": b"hello and more"})

    async def strange(self, scope, receive, send):
        await send({"type": "http.response.start", "status": 700, "headers": []})


FIVE = [(b"content-length", b"5")]


async def answer(send, content, status=200):
    headers = [(b"content-length", b"%d" % len(content))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


class Client:
    """One connection, by hand."""

    def __init__(self, port, **options):
        self.sock = socket.socket()
        for name, value in options.items():
            self.sock.setsockopt(socket.SOL_SOCKET, getattr(socket, name), value)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(("127.0.0.1", port))
        self.data, self.ended = b"", False

    def send(self, data):
        self.sock.sendall(data)
        return self

    def _read(self):
        received = self.sock.recv(65536)
        self.data += received
        self.ended = not received

    def answer(self):
        while (found := split_answer(self.data, ended=self.ended)) is None:
            self._read()
        answer, self.data = found
        return answer

    def answers(self):
        """All of them, until the server ends the connection."""
        while not self.ended:
            self._read()
        found = []
        while self.data:
            found.append(self.answer())
        return found

    def statuses(self):
        return [each.status for each in self.answers()]


class Guarded:
    """A server in a thread of its own."""

    def __init__(self, **limits):
        self.app = App()
        self.config = UvicornConfig(
            self.app,
            limits=Limits(**limits),
            http=HttpProtocol,
            ws=SocketProtocol,
            lifespan="off",
            log_config=None,
        )
        self.server = uvicorn.Server(self.config)
        self.clients = []

    @contextlib.contextmanager
    def running(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
            thread = threading.Thread(target=self.server.run, args=([listener],))
            thread.start()
            try:
                wait_until(lambda: self.server.started)
                yield self
            finally:
                self.app.go_on.set()
                for each in self.clients:
                    each.sock.close()
                self.server.should_exit = True
                thread.join(PATIENCE)
        assert not thread.is_alive()

    def connect(self, **options):
        self.clients.append(Client(self.port, **options))
        return self.clients[-1]

    def ask(self, data):
        """The statuses of all that is answered, until the server ends the connection."""
        with contextlib.closing(self.connect().send(data).sock):
            return self.clients[-1].statuses()

    @contextlib.contextmanager
    def notes(self, counter):
        """One more of ``counter`` is noted in the block."""
        before = self.app.noted[counter]
        yield
        wait_until(lambda: self.app.noted[counter] == before + 1, PATIENCE, f"{counter}")


@contextlib.contextmanager
def guarded(**limits):
    with Guarded(**limits).running() as found:
        yield found


@pytest.fixture(scope="module")
def guard():
    """A server with small limits of size, and time enough."""
    with guarded(max_head=MAX_HEAD, max_fields=MAX_FIELDS) as found:
        yield found


@pytest.fixture
def held(guard):
    """``guard``, and a connection whose first request is being answered, as long as it likes."""
    guard.app.go_on.clear()
    yield guard, guard.connect().send(request(path="/held"))
    guard.app.go_on.set()


# Heads --------------------------------------------------------------------------------------------


def sized(size):
    """A head of ``size`` bytes."""
    rest = len(request("X-A: ", "Connection: close"))
    return request("X-A: " + "x" * (size - rest), "Connection: close")


@pytest.mark.parametrize(("more", "status"), [(0, 200), (1, 431)])
def test_a_head_may_have_so_many_bytes_and_no_more(guard, more, status):
    assert guard.ask(sized(MAX_HEAD + more)) == [status]


def test_a_head_that_does_not_end_is_refused_when_it_is_too_large(guard):
    with guard.notes(Counter.BAD_REQUEST):
        assert guard.ask(sized(MAX_HEAD * 2)[: MAX_HEAD + 1]) == [431]


def test_a_head_behind_a_body_is_measured_by_itself(guard):
    body = bytes(3 * MAX_HEAD)
    first = post(f"Content-Length: {len(body)}", body=body)
    assert guard.ask(first + sized(MAX_HEAD)) == [200, 200]
    assert guard.ask(first + sized(MAX_HEAD + 1)) == [200, 431]


def test_a_request_line_that_is_too_long_is_414(guard):
    assert guard.ask(request(path="/" + "x" * MAX_HEAD)) == [414]
    assert guard.ask(b"GET /" + b"x" * MAX_HEAD) == [414]


@pytest.mark.parametrize(("more", "status"), [(0, 200), (1, 431)])
def test_a_head_may_have_so_many_fields_and_no_more(guard, more, status):
    fields = ["X: a"] * (MAX_FIELDS + more - 2)  # besides Host and Connection
    assert guard.ask(request("Connection: close", *fields)) == [status]


def test_blank_lines_without_end_are_no_way_to_stay(guard):
    assert guard.ask(b"\r\n" * MAX_HEAD) in ([400], [431])


REFUSED = {
    "version 0.9": (request(version="HTTP/0.9"), 505),
    "no version": (b"GET /hello\r\n\r\n", 505),
    "version 2.0": (request(version="HTTP/2.0"), 505),
    "version 1.2": (request(version="HTTP/1.2"), 400),
    "RTSP": (request(version="RTSP/1.0"), 505),
    "CONNECT": (request(method="CONNECT", path="127.0.0.1:80"), 501),
    "another host in the address": (request(path="http://other/hello"), 400),
    "length and coding": (post("Content-Length: 5", CHUNKED, body=END), 400),
    "coding and length": (post(CHUNKED, "Content-Length: 5", body=END), 400),
    "two lengths": (post("Content-Length: 5", "Content-Length: 5", body=b"hello"), 400),
    "a length of +5": (post("Content-Length: +5", body=b"hello"), 400),
    "a coding before chunked": (post("Transfer-Encoding: gzip, chunked", body=END), 400),
    "chunked twice": (post(CHUNKED, CHUNKED, body=END), 400),
    "identity": (post("Transfer-Encoding: identity"), 400),
    "chunked by HTTP/1.0": (request(CHUNKED, method="POST", version="HTTP/1.0", body=END), 400),
    "a folded line": (request("X-A: b", " c"), 400),
    "a space before the colon": (request("X-A : b"), 400),
    "a bare LF": (request("X-A: b\nX-B: c"), 400),
    "a bare CR": (request("X-A: b\rX-B: c"), 400),
    "a control character": (request("X-A: b\x0bc"), 400),
    "a chunk that is too long": (post(CHUNKED, body=b"2\r\nabc\r\n" + END), 400),
}


@pytest.mark.parametrize(("data", "status"), REFUSED.values(), ids=REFUSED)
def test_what_http_1_does_not_know_is_refused_and_the_connection_ends(guard, data, status):
    with guard.notes(Counter.BAD_REQUEST):
        answers = guard.connect().send(data + LAST).answers()
    [refusal] = answers
    assert (refusal.status, refusal.headers["connection"]) == (status, ["close"])
    assert refusal.headers["content-type"] == ["text/plain; charset=utf-8"]


def test_an_address_with_a_host_is_that_of_the_path(guard):
    client = guard.connect().send(request("Connection: close", path="http://127.0.0.1/shown"))
    [answer] = client.answers()
    assert json.loads(answer.body)["path"] == "/shown"


def test_what_is_refused_is_told_to_the_log_through_the_application(guard):
    guard.ask(request(version="HTTP/0.9"))
    assert guard.app.texts[-1] == (
        "Refused a request of 127.0.0.1: 505 This server speaks HTTP/1.1 and HTTP/1.0."
    )


# Trailers and what else is beside a body ----------------------------------------------------------


@pytest.mark.parametrize("name", ["X-Forwarded-For", "Host", "Cookie", "X-A"])
def test_trailers_are_ignored(guard, name):
    body = chunk(b"hello") + f"0\r\n{name}: forged\r\n\r\n".encode()
    client = guard.connect().send(post(CHUNKED, body=body, path="/shown"))
    assert "forged" not in client.answer().body.decode()
    client.send(request("Connection: close", path="/shown"))  # nor are they those of the next one
    assert "forged" not in client.answer().body.decode()


def test_a_connection_among_the_trailers_ends_it_if_anything(guard):
    body = END[:3] + b"Connection: close\r\n\r\n"
    assert guard.ask(post(CHUNKED, body=body) + request()) in ([200], [200, 200])


@pytest.mark.parametrize(
    ("first", "more"),
    [(b"", b"X-A: b\r\n"), (b"X", b"x"), (b"X-A: ", b"x")],
    ids=["many", "name", "value"],
)
def test_trailers_are_bounded(guard, first, more):
    client = guard.connect().send(post(CHUNKED, body=chunk(b"hello") + b"0\r\n" + first))
    assert client.send(more * (2 * MAX_HEAD)).statuses() == [400]


def test_extensions_of_chunks_are_bounded_though_there_is_content_between(guard):
    client = guard.connect().send(post(CHUNKED))
    with contextlib.suppress(OSError):
        for _ in range(100):
            client.send(b"1;" + b"x" * MAX_HEAD + b"\r\na\r\n")
        assert client.statuses() == [400]


def test_tiny_chunks_are_no_offence(guard):
    client = guard.connect().send(post(CHUNKED, body=chunk(b"x") * 10_000 + END))
    assert client.answer().body == b"10000"


# Upgrades -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (handshake(), 101),
        (handshake(method="POST"), 400),
        (handshake(version="HTTP/1.0"), 400),
        (handshake(Upgrade="websocket, h2c"), 400),
        (handshake(Content_Length="5") + b"hello", 400),
        (handshake() + b"early", 400),
        (handshake(Sec_WebSocket_Key="short"), 400),
        (handshake(Sec_WebSocket_Version="8"), 426),
    ],
    ids=["right", "POST", "1.0", "two", "body", "early", "key", "version"],
)
def test_a_websocket_is_opened_by_a_right_handshake_alone(guard, data, status):
    answer = guard.connect().send(data).answer()
    assert answer.status == status
    if status == 426:
        assert answer.headers["sec-websocket-version"] == ["13"]


def test_a_handshake_does_not_overtake_an_answer(held):
    guard, client = held
    client.send(handshake())
    guard.app.go_on.set()
    assert client.statuses() == [200, 400]


def test_another_upgrade_is_ignored_and_the_body_is_a_body(guard):
    hidden = request(path="/hidden")
    upgrade = ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: a"]
    data = post(*upgrade, f"Content-Length: {len(hidden)}", body=hidden)
    client = guard.connect().send(data + request(*upgrade) + LAST)
    assert [each.body for each in client.answers()] == [b"%d" % len(hidden), b"hello", b"hello"]


def test_another_upgrade_whose_body_comes_later_is_ignored_too(guard):
    client = guard.connect().send(post("Connection: Upgrade", "Upgrade: x", CHUNKED))
    assert client.send(chunk(b"hello") + END).answer().body == b"5"


# Time ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hurried():
    """A server that does not wait for long."""
    limits = {"head_timeout": 0.4, "keep_alive": 0.3, "min_body_rate": 1000, "write_timeout": 0.5}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pace, "GRACE", 0.5)
        patch.setattr(uvicorn_connection, "LINGER", 0.5)
        with guarded(**limits) as found:
            yield found


@pytest.mark.parametrize("data", [b"", b"\r\n"])
def test_a_client_that_says_nothing_is_left_silently(hurried, data):
    assert hurried.ask(data) == []


@pytest.mark.parametrize("data", [b"G", b"GET /hello HTT", b"GET /hello HTTP/1.1\r\nHost: a\r\nX"])
def test_a_head_that_does_not_come_whole_in_time_is_408(hurried, data):
    with hurried.notes(Counter.BAD_REQUEST):
        assert hurried.ask(data) == [408]


def test_to_dribble_is_no_way_to_stay(hurried):
    client = hurried.connect().send(b"GET /hello HTTP/1.1\r\nX-A: ")
    deadline = time.monotonic() + PATIENCE
    client.sock.settimeout(0.05)
    while not client.data:
        assert time.monotonic() < deadline
        client.send(b"x")
        with contextlib.suppress(TimeoutError):
            client._read()
    assert client.answer().status == 408


def test_the_head_of_a_later_request_has_its_time_too(hurried):
    client = hurried.connect().send(request())
    assert client.answer().status == 200
    assert client.send(b"GET /").statuses() == [408]


def test_an_idle_connection_is_closed(hurried):
    client = hurried.connect().send(request())
    assert client.statuses() == [200]


def test_an_answer_that_takes_its_time_is_waited_for(hurried):
    hurried.app.go_on.clear()
    client = hurried.connect().send(request(path="/held"))
    client.send(b"\r\n")  # some clients send it behind a body
    assert hurried.ask(b"GET") == [408]  # longer than any time here
    assert hurried.ask(b"GET") == [408]
    hurried.app.go_on.set()
    assert client.answer().body == b"held"


@pytest.mark.parametrize("framing", ["Content-Length: 100000", CHUNKED])
def test_a_body_that_comes_too_slowly_is_408_and_the_application_hears_of_it(hurried, framing):
    hurried.app.left.clear()
    start = b"" if framing == CHUNKED else b"hello"
    with hurried.notes(Counter.BAD_REQUEST):
        assert hurried.ask(post(framing, body=start)) == [408]
    assert hurried.app.left.wait(PATIENCE)


def test_chunk_extensions_do_not_make_a_body_faster(hurried):
    client = hurried.connect().send(post(CHUNKED))
    deadline = time.monotonic() + PATIENCE
    client.sock.settimeout(0.05)
    client.send(b"1;")
    while not client.data:
        assert time.monotonic() < deadline
        client.send(b"x" * 200)
        with contextlib.suppress(TimeoutError):
            client._read()
    assert client.answer().status == 408


def test_a_body_that_is_fast_enough_may_take_its_time(hurried):
    client = hurried.connect().send(post("Content-Length: 40000", "Connection: close"))
    for _ in range(5):
        client.send(bytes(8000))
        hurried.ask(b"")  # about 0.4 s: it takes much longer than is free
    assert [each.body for each in client.answers()] == [b"40000"]


def test_a_client_that_does_not_read_is_cut(hurried):
    hurried.app.left.clear()
    client = hurried.connect(SO_RCVBUF=4096)
    with hurried.notes(Counter.OVERFLOW):
        client.send(request(path="/endless"))
    assert hurried.app.left.wait(PATIENCE)
    assert hurried.app.texts[-1].endswith("read nothing for 0.5 s.")


def test_a_client_that_reads_slowly_is_not_cut():
    """It reads a little every now and then, for longer than one that reads nothing may stay."""
    with guarded(write_timeout=2, head_timeout=0.3) as guard:
        client = guard.connect(SO_RCVBUF=4096).send(request(path="/endless"))
        end = time.monotonic() + 5
        while time.monotonic() < end:
            for _ in range(16):
                assert client.sock.recv(4096)
            guard.ask(b"")  # about 0.3 s
        assert not guard.app.left.is_set()
        assert guard.app.noted[Counter.OVERFLOW] == 0


def test_a_tls_handshake_that_does_not_end_is_cut(tmp_path):
    certfile, keyfile = map(str, make_certificate(tmp_path))
    listen = Listen(port=0, ssl_certfile=certfile, ssl_keyfile=keyfile)
    application = InterfaceServer(InMemoryChannelLayer())
    engine = UvicornEngine(application, listen, Limits(head_timeout=0.3))
    with opened(listen) as sockets:
        port = sockets[0].getsockname()[1]
        thread = threading.Thread(target=engine.serve_on, args=(sockets,))
        thread.start()
        try:
            with contextlib.closing(Client(port).sock) as silent:
                assert silent.recv(1) == b""
            context = ssl.create_default_context(cafile=certfile)
            with context.wrap_socket(Client(port).sock, server_hostname="127.0.0.1") as secret:
                assert secret.recv(1) == b""  # it has its time for a head
        finally:
            engine.stop()
            thread.join(PATIENCE)
    assert not thread.is_alive()


# One after the other ------------------------------------------------------------------------------


def test_requests_that_wait_are_answered_in_turn(held):
    guard, client = held
    client.send(post("Content-Length: 5", body=b"hello") + request() + LAST)
    guard.app.go_on.set()
    assert [each.body for each in client.answers()] == [b"held", b"5", b"hello", b"hello"]


def test_a_refusal_waits_for_its_turn(held):
    guard, client = held
    client.send(request() + b"no request\r\n\r\n")
    guard.app.go_on.set()
    assert client.statuses() == [200, 200, 400]


def test_a_body_that_breaks_while_its_request_waits_is_refused_in_its_turn(held):
    guard, client = held
    client.send(request() + post(CHUNKED, body=b"x\r\n"))
    guard.app.go_on.set()
    assert client.statuses() == [200, 200, 400]


def test_only_so_many_requests_wait_then_the_connection_ends_behind_them(held):
    guard, client = held
    client.send(request() * 5000)
    guard.app.go_on.set()
    assert client.statuses() == [200] * (PIPELINE + 1)


def test_what_comes_behind_close_is_no_request(guard):
    assert guard.ask(LAST + request() * 3) == [200]


def test_requests_that_wait_hear_that_their_client_has_gone(held):
    guard, client = held
    guard.app.left.clear()
    client.send(post("Content-Length: 5"))
    connection = guard.connect().send(post("Content-Length: 5") + b"abc")
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.sock.close()
    assert guard.app.left.wait(PATIENCE)


# The end of a connection --------------------------------------------------------------------------


def test_a_client_that_still_sends_gets_the_answer_and_then_the_end(guard):
    client = guard.connect().send(post("Content-Length: 10000000", path="/early"))
    client.send(bytes(3_000_000))
    [answer] = client.answers()
    assert (answer.status, answer.headers["connection"]) == (413, ["close"])


def test_a_client_that_does_not_stop_is_cut(guard, monkeypatch):
    monkeypatch.setattr(uvicorn_connection, "LINGER_BYTES", 1_000_000)
    client = guard.connect().send(post("Content-Length: 1000000000", path="/early"))
    with pytest.raises(OSError):  # it cannot even be put away in buffers
        client.sock.sendall(bytes(200_000_000))


def test_a_client_that_neither_sends_nor_goes_is_left(hurried):
    client = hurried.connect().send(post("Content-Length: 1000", path="/early"))
    assert client.statuses() == [413]
    wait_until(lambda: hurried.config.census.size == 0, PATIENCE, "its connection to be closed")


def test_an_answer_to_http_1_0_has_no_chunks_and_ends_with_the_connection(guard):
    client = guard.connect().send(request(path="/parts", version="HTTP/1.0"))
    [answer] = client.answers()
    assert (answer.body, "transfer-encoding" in answer.headers) == (b"partpartpart", False)


def test_an_answer_to_head_by_http_1_0_has_no_body(guard):
    client = guard.connect().send(request(method="HEAD", path="/parts", version="HTTP/1.0"))
    while not client.ended:
        client._read()
    assert client.data.endswith(b"\r\n\r\n")


def test_an_answer_of_another_length_than_it_says_is_cut_and_logged_in_one_line(guard, caplog):
    client = guard.connect().send(request(path="/wrong"))
    [answer] = client.answers()
    assert not answer.complete
    assert "Bad answer to /wrong: Response content longer than Content-Length" in caplog.text
    assert "Traceback" not in caplog.text


def test_a_status_that_is_none_is_500(guard, caplog):
    assert guard.ask(request("Connection: close", path="/strange")) == [500]
    assert "Bad answer to /strange" in caplog.text


# How many connections -----------------------------------------------------------------------------


def test_connections_beyond_the_limit_are_refused_and_counted():
    with guarded(max_connections=2) as guard:
        first, second = guard.connect(), guard.connect()
        assert second.send(request()).answer().status == 200
        with guard.notes(Counter.REFUSED):
            [answer] = guard.connect().send(request()).answers()
        assert answer.status == 503
        assert int(answer.headers["retry-after"][0]) > 0
        first.sock.close()
        wait_until(lambda: guard.config.census.size == 1)
        assert guard.connect().send(request()).answer().status == 200


def test_sockets_are_connections_until_they_close():
    with guarded(max_connections=1) as guard:
        client = guard.connect()
        assert client.send(handshake()).answer().status == 101
        assert guard.ask(request()) == [503]
        client.sock.close()
        wait_until(lambda: guard.config.census.size == 0)
        assert guard.connect().send(request()).answer().status == 200


def test_refused_connections_do_not_pile_up_either(monkeypatch):
    monkeypatch.setattr(census_module, "_TOLD", 2)
    with guarded(max_connections=1) as guard:
        assert guard.connect().send(request()).answer().status == 200
        told = [guard.connect(), guard.connect()]
        wait_until(lambda: guard.app.noted[Counter.REFUSED] == 2)
        third = guard.connect()
        with contextlib.suppress(ConnectionResetError):
            assert third.sock.recv(1) == b""
        assert [each.answer().status for each in told] == [503, 503]


def test_a_server_without_descriptors_neither_spins_nor_dies(tmp_path):
    port = free_port()
    command = [sys.executable, "-m", "channels_classic.cli", "server", "-p", str(port)]
    command += ["tests.server.site:channel_layer", "--head-timeout", "100"]
    limited = ["sh", "-c", 'ulimit -n 100 && exec "$@"', "sh", *command]
    root = Path(__file__).parents[2]
    with Process(limited, log=tmp_path / "server.log", cwd=root) as process:
        process.wait_for_port(port, PATIENCE)
        clients = [Client(port) for _ in range(200)]
        open_files = Path(f"/proc/{process.pid}/fd")
        wait_until(lambda: len(list(open_files.iterdir())) > 90, PATIENCE, "it to run out")
        before, began = cpu_seconds(process.pid), time.monotonic()
        wait_until(lambda: time.monotonic() - began > 1)
        assert cpu_seconds(process.pid) - before < 0.5 * (time.monotonic() - began)
        for each in clients:
            each.sock.close()
        wait_until(lambda: len(list(open_files.iterdir())) < 50, PATIENCE, "them to go")
        client = Client(port).send(request("Connection: close"))
        assert client.answer().body == b"hello"
        client.sock.close()
        process.wait_for_line("Refused a connection of 127.0.0.1: there are 36 connections")


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
