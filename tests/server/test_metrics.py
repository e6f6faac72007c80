"""What one server process counts, and where it shows that."""

from __future__ import annotations

import os
import sys
import tempfile

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families

from channels_classic.server.figures import FOLDER, Gathered
from channels_classic.server.options import BadOption
from tests.server.ends import Request, Socket

PATH = "/-/metrics"
DENIAL = {"websocket.http.response": {}}


@pytest.fixture
def app(server, workers):
    """A server that counts."""
    return server(metrics_path=PATH)


async def page(app, method="GET", accept=b""):
    """Status, headers and body of the answer to who asks for the figures."""
    headers = [(b"accept", accept)] if accept else []
    return await Request(app, path=PATH, method=method, headers=headers).start().answer()


async def figures(app):
    """All of ours that are not 0, as ``name{label=value}`` without the prefix."""
    _, _, body = await page(app)
    samples = (s for f in text_string_to_metric_families(body.decode()) for s in f.samples)
    return {
        sample.name.removeprefix("channels_classic_") + shown(sample.labels): sample.value
        for sample in samples
        if sample.value and sample.name.startswith("channels_classic_")
    }


def shown(labels):
    pairs = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
    return f"{{{pairs}}}" if pairs else ""


async def test_a_request_is_counted_and_who_asks_for_the_figures_is_not(app, workers):
    client = Request(app).start()
    message = await workers.take("http.request")
    assert (await figures(app))["http_requests_in_flight"] == 1
    await workers.reply(message, status=201, content=b"12345")
    await client.done()
    found = await figures(app)
    assert found["http_requests_total{method=GET,status=201}"] == 1
    assert found["http_response_body_bytes_total"] == 5
    assert found["http_request_duration_seconds_count{method=GET}"] == 1
    assert found["server_processes"] == 1
    assert "http_requests_in_flight" not in found
    assert [each for each in found if "requests_total" in each] == [
        "http_requests_total{method=GET,status=201}"
    ]


async def test_the_page_has_its_type_and_takes_no_posts(app):
    status, headers, body = await page(app)
    assert (status, headers[b"cache-control"]) == (200, b"no-store")
    assert headers[b"content-type"].startswith(b"text/plain; version=0.0.4")
    assert b"process_resident_memory_bytes " in body
    assert (await page(app, method="HEAD"))[2] == b""
    status, headers, _ = await page(app, method="POST")
    assert (status, headers[b"allow"]) == (405, b"GET, HEAD")


async def test_who_asks_for_openmetrics_gets_it(app):
    _, headers, body = await page(app, accept=b"application/openmetrics-text; version=1.0.0")
    assert headers[b"content-type"].startswith(b"application/openmetrics-text; version=1.0.0")
    assert {"channels_classic_http_requests"} <= {f.name for f in open_families(body.decode())}


async def test_without_a_path_it_is_a_page_of_the_site(server, workers):
    client = Request(server(), path=PATH).start()
    assert (await workers.take("http.request"))["path"] == PATH
    client.leave()
    await client.task


async def test_a_client_that_leaves_has_no_status(app, workers):
    client = Request(app, method="PURGE").start()
    await workers.take("http.request")
    client.leave()
    await client.task
    assert (await figures(app))["http_requests_total{method=other,status=none}"] == 1


async def test_a_socket_is_counted_from_its_handshake_to_its_code(app, workers):
    client = Socket(app).start()
    await workers.reply(await workers.take("websocket.connect"), accept=True)
    await client.next_event()
    client.say(text="é")
    message = await workers.take("websocket.receive")
    await workers.reply(message, bytes=b"123")
    await client.next_event()
    found = await figures(app)
    assert found["websocket_connections"] == 1
    assert found["websocket_message_bytes_total{direction=in}"] == 2
    assert found["websocket_message_bytes_total{direction=out}"] == 3
    client.leave(1001)
    await client.task
    found = await figures(app)
    assert "websocket_connections" not in found
    assert found["websocket_closes_total{code=1001}"] == 1
    assert found["websocket_handshakes_total{outcome=accepted}"] == 1


@pytest.mark.parametrize(
    ("code", "label"), [(1005, "1005"), (3999, "3000-4999"), (2999, "other"), (99999, "other")]
)
async def test_codes_that_clients_make_up_are_one(app, workers, code, label):
    client = Socket(app).start()
    await workers.reply(await workers.take("websocket.connect"), accept=True)
    await client.next_event()
    client.leave(code)
    await client.task
    assert (await figures(app))[f"websocket_closes_total{{code={label}}}"] == 1


async def test_handshakes_are_told_apart_by_their_end(app, workers):
    refused = Socket(app).start()
    await workers.reply(await workers.take("websocket.connect"), close=True)
    await refused.task
    denied = Socket(app, extensions=DENIAL).start()
    await workers.reply(await workers.take("websocket.connect"), status=404, content=b"no")
    await denied.task
    left = Socket(app).start()
    await workers.take("websocket.connect")
    left.leave(1006)
    await left.task
    found = await figures(app)
    assert {key: value for key, value in found.items() if "handshakes_total" in key} == {
        "websocket_handshakes_total{outcome=rejected}": 2,
        "websocket_handshakes_total{outcome=left}": 1,
    }
    assert not any("closes_total" in key for key in found)


async def test_without_a_worker_a_socket_is_unavailable(server):
    app = server(metrics_path=PATH)
    await Socket(app, extensions=DENIAL).start().task
    assert (await figures(app))["websocket_handshakes_total{outcome=unavailable}"] == 1


async def test_what_is_refused_is_counted_by_its_reason(server, workers):
    app = server(metrics_path=PATH, allowed_origins=["https://example.com"])
    headers = [(b"origin", b"https://example.org")]
    await Socket(app, headers=headers, extensions=DENIAL).start().task
    found = await figures(app)
    assert found["server_refusals_total{reason=refused_origin}"] == 1
    assert found["websocket_handshakes_total{outcome=rejected}"] == 1


async def test_the_path_may_be_a_setting(layer, workers, settings, server):
    settings.CHANNELS_CLASSIC = {"SERVER": {"metrics_path": "/figures"}}
    status, _, _ = await Request(server(), path="/figures").start().answer()
    assert status == 200


def test_without_the_library_it_says_what_to_install(server, monkeypatch):
    monkeypatch.delitem(sys.modules, "channels_classic.server.metrics", raising=False)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(BadOption, match=r"pip install 'channels-classic\[metrics\]'"):
        server(metrics_path=PATH)


def test_a_path_that_is_none_or_that_of_a_probe_is_refused(server):
    with pytest.raises(BadOption, match="metrics_path must begin with '/'"):
        server(metrics_path="metrics")
    with pytest.raises(BadOption, match="'/-/livez' is the path of a probe"):
        server(metrics_path="/-/livez")


# The folder of several processes ----------------------------------------------------------------


def test_the_folder_of_a_parent_goes_with_it(monkeypatch):
    monkeypatch.delenv(FOLDER, raising=False)
    gathered = Gathered()
    try:
        [folder] = gathered.environment.values()
        monkeypatch.setenv(FOLDER, folder)
        assert Gathered().environment == {}  # this one is given
        monkeypatch.delenv(FOLDER)
    finally:
        gathered.remove()
    with pytest.raises(FileNotFoundError), open(folder):
        pass


def test_what_a_killed_parent_has_left_goes_when_another_starts(monkeypatch, tmp_path):
    monkeypatch.delenv(FOLDER, raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr("channels_classic.server.figures._NEW", -1)
    alive, killed = Gathered(), Gathered()
    os.close(killed._lock)  # as its death does
    strange = tmp_path / "channels-classic-metrics-strange"
    strange.mkdir()
    third = Gathered()
    left = {str(path) for path in tmp_path.iterdir()}
    assert left == {alive.environment[FOLDER], third.environment[FOLDER], str(strange)}
    killed._lock = -1
    for each in (alive, killed, third):
        each.remove()
    assert list(tmp_path.iterdir()) == [strange]


def test_without_room_for_a_folder_the_parent_goes_on(monkeypatch, caplog):
    def full(**options):
        raise OSError("No space left")

    monkeypatch.delenv(FOLDER, raising=False)
    monkeypatch.setattr("tempfile.mkdtemp", full)
    gathered = Gathered()
    gathered.forget(7)
    gathered.remove()
    assert gathered.environment == {}
    assert "those of one process: no folder (No space left)" in caplog.text


def test_a_folder_that_is_given_stays(monkeypatch, tmp_path):
    monkeypatch.setenv(FOLDER, str(tmp_path))
    counted, opened = tmp_path / "counter_7.db", tmp_path / "gauge_livesum_7.db"
    for each in (counted, opened):
        each.touch()
    gathered = Gathered()
    gathered.forget(7)
    gathered.remove()
    assert (counted.exists(), opened.exists()) == (True, False)


def test_a_folder_that_is_given_needs_no_library(monkeypatch, tmp_path):
    monkeypatch.setenv(FOLDER, str(tmp_path))
    monkeypatch.setattr("channels_classic.server.figures.find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "prometheus_client.multiprocess", None)
    gathered = Gathered()
    gathered.forget(7)
    gathered.remove()
    assert gathered.environment == {}
