"""One trace from the request over the bus to the tasks behind it; logs that say which it is."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest
from websockets.exceptions import ConnectionClosed

from tests.acceptance.otlp import Seen
from tests.acceptance.processes import wait_until
from tests.acceptance.watched import Watched, watching


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with watching(tmp_path_factory.mktemp("watched")) as found:
        yield found


def new_trace() -> tuple[str, str, str]:
    """The ids of a trace and of a span in it, and the header that names both."""
    trace, span = secrets.token_hex(16), secrets.token_hex(8)
    return trace, span, f"00-{trace}-{span}-01"


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
