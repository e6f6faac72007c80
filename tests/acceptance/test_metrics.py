"""What Prometheus is shown by a server of two processes and a worker is what was done to them."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from tests.acceptance.processes import wait_until
from tests.acceptance.watched import CLASSIC, Figures, Watched, figure, more, watching

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


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with watching(tmp_path_factory.mktemp("watched")) as found:
        yield found


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
