"""Metrics, traces and logs of a real server of two processes, a real worker and a real Redis."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.acceptance.conftest import Site
from tests.acceptance.otlp import Receiver, Seen
from tests.acceptance.processes import Process, free_port, wait_until
from tests.conftest import RedisServer

JSON, TRUSTED = ["--log-format", "json"], ["--proxy-headers", "127.0.0.1"]
METRICS = ["--metrics-path", "/-/metrics"]
CLASSIC = "channels_classic_"
#: What a label may say, where it is not the name of a channel or a consumer.
BOUNDED = {
    "method": {"GET", "POST", "other"},
    "status": {"200", "400", "403", "404"},
    "direction": {"in", "out"},
    "outcome": {
        "accepted",
        "rejected",
        "unavailable",
        "left",
        "done",
        "later",
        "failed",
        "unrouted",
    },
    "code": {"1000", "1001", "1011", "3000-4999", "1006", "1012"},
}

Figures = dict[tuple[str, frozenset[tuple[str, str]]], float]


class Watched:
    """The site, and what it is watched with."""

    def __init__(self, site: Site, traces: Receiver) -> None:
        self.site = site
        self.traces = traces
        self.metrics_port = free_port()
        self.server = site.server("--processes", "2", *METRICS, *TRUSTED, *JSON)
        self.worker = site.worker("--metrics", str(self.metrics_port), *JSON)
        self.server.wait_for_line("Process .* serves.*\n(.*\n)*.*Process .* serves")

    def get(self, path: str, method: str = "GET", **headers: str) -> int:
        """The status of a page, on a connection of its own: any of the processes takes it."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.site.address + path, method=method, headers=named)
        try:
            with urllib.request.urlopen(request, timeout=40) as answer:
                answer.read()
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    @contextlib.contextmanager
    def sockets(self, number: int) -> Iterator[list[ClientConnection]]:
        """Open sockets, of whichever process takes them."""
        with contextlib.ExitStack() as stack:
            yield [stack.enter_context(self.socket("/echo/")) for _ in range(number)]

    def socket(self, path: str, **headers: str) -> connect:
        """An open socket, as a ``with`` block."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        address = f"ws://127.0.0.1:{self.site.port}{path}"
        return connect(address, open_timeout=40, additional_headers=named)

    def of_server(self) -> Figures:
        """What the server shows."""
        return scraped(f"{self.site.address}/-/metrics")

    def of_worker(self) -> Figures:
        """What the worker shows."""
        return scraped(f"http://127.0.0.1:{self.metrics_port}/metrics")

    def lines(self, process: Process) -> list[dict[str, str]]:
        """What a process has logged, each line an object."""
        return [json.loads(line) for line in process.output().splitlines()]


def scraped(url: str) -> Figures:
    """All figures at ``url``, by name and labels, read by the library's own parser."""
    with urllib.request.urlopen(url, timeout=40) as answer:
        text = answer.read().decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def figure(figures: Figures, name: str, **labels: str) -> float:
    """One of them; 0 when there is none."""
    return figures.get((CLASSIC + name, frozenset(labels.items())), 0)


def more(before: Figures, after: Figures, name: str, **labels: str) -> float:
    """By how much a figure has grown."""
    return figure(after, name, **labels) - figure(before, name, **labels)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = Path(tempfile.mkdtemp(prefix="channels-redis-"))
    redis = RedisServer(folder)
    redis.start()
    site = Site(tmp_path_factory.mktemp("watched"), redis.url)
    try:
        with Receiver() as traces:
            site.env.update(traces.env)
            site.manage("migrate", "--verbosity", "0")
            yield Watched(site, traces)
            site.stop()
    finally:
        site.stop()
        redis.stop()
        shutil.rmtree(folder)


def new_trace() -> tuple[str, str, str]:
    """The ids of a trace and of a span in it, and the header that names both."""
    trace, span = secrets.token_hex(16), secrets.token_hex(8)
    return trace, span, f"00-{trace}-{span}-01"


# Metrics ----------------------------------------------------------------------------------


def test_a_scrape_of_the_server_is_the_sum_over_its_processes(watched: Watched) -> None:
    before = watched.of_server()
    for number in range(20):
        assert watched.get(f"/?token={number}") == 200
    assert watched.get("/missing/") == 404
    assert watched.get("/", method="PROPFIND") == 403  # without a token of the form
    assert watched.get("/", method="BREW") == 400  # the engine knows no such word
    of = {("GET", "200"): 20, ("GET", "404"): 1, ("other", "403"): 1}

    def counted() -> Figures | None:  # just after the client has the answer
        after = watched.of_server()
        found = {
            (method, status): more(
                before, after, "http_requests_total", method=method, status=status
            )
            for method, status in of
        }
        return after if found == of else None

    after = wait_until(counted)
    assert more(before, after, "http_request_duration_seconds_count", method="GET") == 21
    assert more(before, after, "http_response_body_bytes_total") > 20 * 10
    assert figure(after, "http_requests_in_flight") == 0
    assert figure(after, "server_processes") == 2
    assert more(before, after, "server_refusals_total", reason="bad_request") == 1


def without_sockets(watched: Watched) -> Figures | None:
    """What the server shows, once the sockets of other tests are closed."""
    found = watched.of_server()
    return None if figure(found, "websocket_connections") else found


def test_sockets_are_counted_while_they_are_open_and_after(watched: Watched) -> None:
    before = wait_until(lambda: without_sockets(watched))
    with watched.sockets(6) as sockets:
        for socket in sockets:
            socket.send("four")
            socket.send("é")
            assert [socket.recv(40).split()[1] for _ in range(2)] == ["four", "é"]
        during = watched.of_server()
        sockets[0].close(4711)
    assert more(before, during, "websocket_connections") == 6
    assert more(before, during, "websocket_handshakes_total", outcome="accepted") == 6
    assert more(before, during, "websocket_messages_total", direction="in") == 12
    assert more(before, during, "websocket_messages_total", direction="out") == 12
    assert more(before, during, "websocket_message_bytes_total", direction="in") == 6 * (4 + 2)

    def closed() -> bool:
        after = watched.of_server()
        return (
            more(before, after, "websocket_connections") == 0
            and more(before, after, "websocket_closes_total", code="1000") == 5
            and more(before, after, "websocket_closes_total", code="3000-4999") == 1
        )

    wait_until(closed)


def test_the_worker_counts_runs_retries_failures_and_dead_letters(watched: Watched) -> None:
    before = watched.of_worker()
    for to in ("first", "flaky", "flaky", "broken", "choosy", "later"):
        assert watched.get(f"/work/?to={to}") == 200
    flaky = {"channel": "work.flaky", "consumer": "pages.work.flaky"}
    broken = {"channel": "work.broken", "consumer": "pages.work.broken"}
    second = {"channel": "work.second", "consumer": "pages.work.second"}
    later = {"channel": "work.later", "consumer": "pages.work.later"}
    choosy = {"channel": "work.choosy", "consumer": ""}
    view = {"channel": "http.request", "consumer": "channels_classic.handler.ViewConsumer"}

    def figures() -> Figures | None:
        after = watched.of_worker()
        done = (
            more(before, after, "messages_given_up_total", **broken) == 1
            and more(before, after, "consumer_runs_total", **flaky, outcome="done") == 2
            and more(before, after, "consumer_runs_total", **second, outcome="done") == 1
            and more(before, after, "consumer_runs_total", **choosy, outcome="unrouted") == 1
            and more(before, after, "consumer_runs_total", **later, outcome="done") == 1
            and more(before, after, "consumer_runs_total", **view, outcome="done") == 6
        )
        return after if done else None

    after = wait_until(figures)
    assert more(before, after, "consumer_runs_total", **flaky, outcome="failed") == 2
    assert more(before, after, "message_retries_total", **flaky) == 2
    assert more(before, after, "messages_given_up_total", **flaky) == 0
    assert more(before, after, "consumer_runs_total", **broken, outcome="failed") == 2
    assert more(before, after, "message_retries_total", **broken) == 1
    assert more(before, after, "consumer_runs_total", **later, outcome="later") == 1
    assert more(before, after, "message_retries_total", **later) == 1
    assert more(before, after, "consumer_duration_seconds_count", **second) == 1
    assert more(before, after, "message_wait_seconds_count", channel="work.flaky") == 4
    assert 0 < more(before, after, "message_wait_seconds_sum", channel="work.flaky") < 40
    running = [value for (name, _), value in after.items() if name.endswith("_in_progress")]
    assert set(running) == {0}
    assert {name for name, _ in after} >= {"process_cpu_seconds_total", "python_info"}


def test_the_worker_shows_what_waits_on_the_bus(watched: Watched) -> None:
    before = watched.of_worker()
    assert figure(before, "bus_up") == 1
    assert figure(before, "channel_workers", channel="work.first") == 1
    assert watched.get("/work/?to=broken") == 200

    def buried() -> Figures | None:
        after = watched.of_worker()
        dead = more(before, after, "channel_messages_total", channel="work.broken", event="dead")
        return after if dead == 1 and more(before, after, "dead_letters") == 1 else None

    after = wait_until(buried)
    for event in ("sent", "retried"):
        labels = {"channel": "work.broken", "event": event}
        assert more(before, after, "channel_messages_total", **labels) == 1
    for name in ("waiting_messages", "oldest_message_seconds", "delayed_messages"):
        assert figure(after, f"channel_{name}", channel="work.broken") == 0


def test_no_label_has_what_clients_make_up(watched: Watched) -> None:
    for path in ("/made-up/", "/?made=up", "/work/?to=first&token=made-up"):
        watched.get(path, method="GET", User_Agent="made-up", X_Request_ID="made-up")
    watched.get("/", method="PROPFIND")
    with watched.socket("/echo/") as socket:
        socket.send("made-up")
        socket.recv(40)
    shown = [*watched.of_server(), *watched.of_worker()]
    labels = {(key, value) for name, found in shown if CLASSIC in name for key, value in found}
    assert not [each for each in labels if "made" in each[1].lower()]
    for key, allowed in BOUNDED.items():
        assert {value for found, value in labels if found == key} <= allowed
    assert {key for key, _ in labels} <= {*BOUNDED, "le", "channel", "consumer", "event", "reason"}


# Traces -----------------------------------------------------------------------------------


def parents(spans: list[Seen]) -> list[tuple[str, str, str]]:
    """Name, kind and the name of the parent of each."""
    names = {each.id: each.name for each in spans}
    return [(each.name, each.kind, names.get(each.parent, each.parent)) for each in spans]


def test_a_request_its_view_and_the_tasks_behind_it_are_one_trace(watched: Watched) -> None:
    trace, proxy, header = new_trace()
    assert watched.get("/work/?to=first", traceparent=header) == 200
    spans = watched.traces.of(trace, 6)
    assert parents(spans) == [
        ("GET", "SERVER", proxy),
        ("http.request process", "CONSUMER", "GET"),
        ("work.first send", "PRODUCER", "http.request process"),
        ("work.first process", "CONSUMER", "work.first send"),
        ("work.second send", "PRODUCER", "work.first process"),
        ("work.second process", "CONSUMER", "work.second send"),
    ]
    served, view, *_ = spans
    assert {each.service for each in spans} == {
        "channels-classic server",
        "channels-classic runworker",
    }
    assert served.service == "channels-classic server"
    assert served.attributes["http.response.status_code"] == 200
    assert served.attributes["url.path"] == view.attributes["url.path"] == "/work/"
    assert served.began < view.began < view.ended < served.ended
    assert view.attributes["messaging.destination.name"] == "http.request"
    assert view.attributes["http.request.method"] == "GET"
    assert spans[-1].attributes["code.function.name"] == "pages.work.second"
    assert not any(each.is_error for each in spans)


def test_errors_retries_and_dead_letters_are_on_their_spans(watched: Watched) -> None:
    trace, _, header = new_trace()
    assert watched.get("/work/?to=broken", traceparent=header) == 200
    runs = [each for each in watched.traces.of(trace, 5) if each.name == "work.broken process"]
    assert [each.attributes["channels_classic.attempt"] for each in runs] == [1, 2]
    assert all(each.is_error for each in runs)
    assert {each.events["exception"]["exception.type"] for each in runs} == {"ValueError"}
    assert "retry" in runs[0].events
    assert runs[1].events["dead letter"]["reason"] == "ValueError: never"


def test_a_consumer_that_asks_to_be_run_later_is_no_error(watched: Watched) -> None:
    trace, _, header = new_trace()
    assert watched.get("/work/?to=later", traceparent=header) == 200
    runs = [each for each in watched.traces.of(trace, 5) if each.name == "work.later process"]
    assert [each.attributes["channels_classic.outcome"] for each in runs] == ["later", "done"]
    assert runs[0].events["retry"]["delay_seconds"] > 0
    assert not any(each.is_error for each in runs)
    assert len({each.parent for each in runs}) == 1


def test_each_message_of_a_socket_is_a_trace_that_is_linked_to_its_handshake(
    watched: Watched,
) -> None:
    trace, proxy, header = new_trace()
    with watched.socket("/echo/", traceparent=header) as socket:
        socket.send("hello")
        socket.recv(40)
    handshake, consumer = watched.traces.of(trace, 2)
    assert parents([handshake, consumer]) == [
        ("GET", "SERVER", proxy),
        ("websocket.connect process", "CONSUMER", "GET"),
    ]
    assert handshake.attributes["http.response.status_code"] == 101

    def messages() -> list[Seen] | None:
        linked = [each for each in list(watched.traces.spans) if trace in each.links]
        return linked if len(linked) == 2 else None

    received, ended = sorted(wait_until(messages), key=lambda each: each.began)
    assert [received.name, ended.name] == ["websocket.receive", "websocket.disconnect"]
    assert len({trace, received.trace, ended.trace}) == 3
    both = watched.traces.of(received.trace, 2)
    assert parents(both) == [
        ("websocket.receive", "SERVER", ""),
        ("websocket.receive process", "CONSUMER", "websocket.receive"),
    ]
    assert both[0].began < both[1].began < both[1].ended


# Logs -------------------------------------------------------------------------------------


def test_lines_of_server_and_worker_share_the_request_id_and_the_trace(watched: Watched) -> None:
    trace, _, header = new_trace()
    request_id = f"id-{trace[:12]}"
    assert watched.get("/work/?to=first", traceparent=header, X_Request_ID=request_id) == 200
    with watched.socket("/fails/", X_Request_ID=f"{request_id}-s") as socket:
        socket.send("anything")

    def found() -> list[dict[str, str]] | None:
        lines = [*watched.lines(watched.server), *watched.lines(watched.worker)]
        own = [each for each in lines if str(each["request_id"]).startswith(request_id)]
        events = {each.get("event") or each["logger"] for each in own}
        wanted = {"request", "connected", "disconnected", "channels_classic.dispatch"}
        return own if events >= wanted else None

    lines = {each.get("event") or each["logger"]: each for each in wait_until(found)}
    assert lines["request"]["trace_id"] == trace
    assert len(lines["connected"]["trace_id"]) == 32
    error = lines["channels_classic.dispatch"]
    assert error["level"] == "ERROR"
    assert error["request_id"] == lines["connected"]["request_id"] == f"{request_id}-s"
    assert error["exception"].endswith("KeyError: 'mistake'")
    assert any(each.trace == error["trace_id"] for each in watched.traces.of(error["trace_id"], 2))


def test_what_the_server_says_of_a_request_has_its_id(watched: Watched) -> None:
    request_id = f"odd-{secrets.token_hex(6)}"
    with watched.socket("/odd/", X_Request_ID=request_id) as socket:
        socket.send("anything")
        with pytest.raises(ConnectionClosed, match="1011"):
            socket.recv(40)

    def found() -> dict[str, str] | None:
        lines = watched.lines(watched.server)
        said = (each for each in lines if each.get("logger") == "channels_classic.server")
        return next((each for each in said if each["request_id"] == request_id), None)

    assert wait_until(found)["message"].startswith("Bad reply to the WebSocket on /odd/")


# A process that dies --------------------------------------------------------------------------


def test_what_a_dead_process_had_open_counts_no_more_and_what_it_counted_does(
    watched: Watched,
) -> None:
    children = Path(f"/proc/{watched.server.pid}/task/{watched.server.pid}/children")
    wait_until(lambda: without_sockets(watched))
    with watched.sockets(8) as sockets:
        before = watched.of_server()
        assert figure(before, "websocket_connections") == 8
        os.kill(int(children.read_text().split()[0]), signal.SIGKILL)
        left = sum(map(lives, sockets))

        def healed() -> Figures | None:
            with contextlib.suppress(OSError):  # the dead one had the connection
                after = watched.of_server()
                is_whole = figure(after, "server_processes") == 2
                if is_whole and figure(after, "websocket_connections") == left:
                    return after
            return None

        after = wait_until(healed, 60)
    assert more(before, after, "websocket_handshakes_total", outcome="accepted") == 0


def lives(socket: ClientConnection) -> bool:
    """Whether a socket still gets its echo."""
    try:
        socket.send("still there")
        return bool(socket.recv(40))
    except ConnectionClosed:
        return False
