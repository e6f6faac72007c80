"""``channels-classic health``: what it sees, what it says, with which status it ends."""

from __future__ import annotations

import asyncio
import http.server
import json
import socket
import sys
import threading
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from channels_classic import cli, cli_health, cli_target
from channels_classic.asgi import ChannelLayerWrapper, channel_layers
from channels_classic.exceptions import InvalidName, LayerUnavailable
from channels_classic.layers.base import BaseChannelLayer
from channels_classic.layers.counters import Counter
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.layers.redis import RedisChannelLayer
from channels_classic.layers.traffic import Load
from channels_classic.routing import route
from tests.acceptance.processes import Process, free_port

ROOT = Path(__file__).parents[1]
COMMAND = Path(sys.executable).with_name("channels-classic")
HERE = "tests.test_cli_health:layer"


class Layer(BaseChannelLayer):
    """Tells the loads that the test has put there, the last one again and again."""

    def __init__(self, *loads):
        super().__init__()
        self.loads_to_come = list(loads)
        self.asked = []
        self.error = None
        self.hangs = False
        self.is_closed = False

    async def loads(self, channels):
        self.asked.append(list(channels))
        if self.hangs:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error
        first = self.loads_to_come[0]
        if len(self.loads_to_come) > 1:
            self.loads_to_come.pop(0)
        return {name: first.get(name, load()) for name in channels}

    def close(self):
        self.is_closed = True


def load(waiting=0, completed=0, workers=1, oldest=0.0):
    return Load(waiting=waiting, oldest=oldest, completed=completed, workers=workers)


layer: BaseChannelLayer | None = None
memory = InMemoryChannelLayer()
cannot_tell = BaseChannelLayer()


@pytest.fixture
def make(monkeypatch):
    """``make(load, …)`` is the layer of the command."""

    def with_loads(*loads):
        made = Layer(*loads)
        monkeypatch.setattr(sys.modules[__name__], "layer", made)
        return made

    return with_loads


@pytest.fixture(autouse=True)
def _quick_and_quiet(monkeypatch):
    """The command sets up logging for its process; here it must leave the loggers alone."""
    monkeypatch.setattr(cli_target, "setup_logger", lambda *arguments: None)
    monkeypatch.setattr(cli_health, "PAUSE", 0.001)


def run(*arguments, path=HERE):
    """The output and the status."""
    result = CliRunner().invoke(cli.main, ["health", *([path] if path else []), *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.output, result.exit_code


def table(output):
    """The rows below the head, each without its name."""
    rows = [line.split() for line in output.splitlines()]
    assert rows[0] == ["CHANNEL", "WAITING", "OLDEST", "COMPLETED", "WORKERS"]
    return {row[0]: row[1:] for row in rows[1:] if row[0].startswith(("http", "work"))}


# What is seen -------------------------------------------------------------------------------------


def test_with_nothing_that_waits_it_is_well_at_once(make):
    layer = make({"work": load(completed=7, workers=2)})
    output, status = run("--channel", "work")
    assert (status, len(layer.asked), layer.is_closed) == (0, 1, True)
    assert table(output) == {"work": ["0", "-", "0", "2"]}
    assert "Round trip to the bus: 0." in output
    assert output.endswith("\nHealthy.\n")


def test_it_waits_for_progress_and_no_longer(make):
    waits = {"work": load(waiting=3, completed=7, oldest=1.25)}
    layer = make(waits, waits, {"work": load(waiting=1200, completed=1009, oldest=2.5)})
    output, status = run("--channel", "work")
    assert (status, len(layer.asked)) == (0, 3)
    assert table(output) == {"work": ["1,200", "2.5", "s", "1,002", "1"]}


def test_a_channel_that_gets_empty_has_moved(make):
    layer = make({"work": load(waiting=3)}, {"work": load()})
    assert run("--channel", "work")[1] == 0
    assert len(layer.asked) == 2


def test_without_progress_it_fails_after_the_time(make):
    make({"work": load(waiting=1, workers=0, oldest=9)})
    output, status = run("--channel", "work", "--channel", "work2", "--stalled-after", "0.05")
    assert status == 1
    assert table(output) == {"work": ["1", "9.0", "s", "0", "0"], "work2": ["0", "-", "0", "1"]}
    [last] = [line for line in output.splitlines() if line.startswith("Failing: ")]
    assert last == ("Failing: work: 1 message waits, none was completed in 0 s, no worker reads it")
    assert "Healthy" not in output


def test_a_slow_bus_is_a_failure_at_once(make, monkeypatch):
    layer = make({"work": load(waiting=1)})
    output, status = run("--channel", "work", "--slow-bus", "0.000000001")
    assert (status, len(layer.asked)) == (1, 1)
    assert "Failing: the bus takes 0.0 s to answer" in output


def test_a_bus_that_does_not_answer_is_a_failure(make):
    layer = make({})
    layer.error = LayerUnavailable("Redis at 10.0.0.1:6379: no route")
    output, status = run()
    assert status == 1
    assert output == "Failing: the bus does not answer: Redis at 10.0.0.1:6379: no route\n"
    assert layer.is_closed


def test_a_bus_that_hangs_is_a_failure_after_the_timeout(make):
    layer = make({})
    layer.hangs = True
    assert run("--timeout", "0.05") == (
        "Failing: the bus does not answer within 0.05 s\n",
        1,
    )
    assert layer.is_closed


def test_it_is_to_be_had_as_json(make):
    make({"work": load(waiting=1, workers=0, oldest=9)})
    output, status = run("--channel", "work", "--stalled-after", "0.05", "--json")
    found = json.loads(output)
    assert found.pop("round_trip") < 1
    assert found == {
        "healthy": False,
        "reasons": ["work: 1 message waits, none was completed in 0 s, no worker reads it"],
        "channels": {
            "work": {"waiting": 1, "oldest": 9, "completed": 0, "workers": 0, "stalled": True}
        },
    }
    assert status == 1
    make({})
    found = json.loads(run("--channel", "work", "--json")[0])
    assert (found["healthy"], found["reasons"]) == (True, [])


def test_counters_that_begin_anew_do_not_count_backwards(make):
    make({"work": load(waiting=1, completed=5000)}, {"work": load(completed=2)})
    output, _ = run("--channel", "work")
    assert table(output)["work"][2] == "2"


# Which channels -----------------------------------------------------------------------------------


def test_the_channels_are_those_with_a_route(make, monkeypatch):
    layer = make({})
    routes = [route("thumbnails", print), route("http.request", print)]
    wrapper = ChannelLayerWrapper(layer, "default", routes)
    monkeypatch.setattr(channel_layers, "backends", {"default": wrapper})
    run()
    assert layer.asked == [["http.request", "thumbnails"]]


def test_without_routing_they_are_those_of_servers(make):
    layer = make({})
    run()
    [asked] = layer.asked
    assert asked == [
        "http.request",
        "websocket.connect",
        "websocket.receive",
        "websocket.disconnect",
    ]


def test_those_that_are_named_are_the_only_ones(make):
    layer = make({})
    run("--channel", "a", "--channel", "b", "--channel", "a")
    assert layer.asked == [["a", "b"]]


def test_a_name_that_no_channel_has_is_said(make):
    layer = make({})
    layer.error = InvalidName("'a b' is not a name")
    assert run("--channel", "a b") == ("Error: 'a b' is not a name\n", 1)


# What makes no sense ------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [[], [HERE, "--url", "http://127.0.0.1/"]])
def test_it_wants_a_layer_or_a_url(arguments):
    output, status = run(*arguments, path=None)
    assert "give MODULE:ATTRIBUTE or --url, one of them" in output
    assert status == 2


def test_a_layer_of_one_process_cannot_be_asked():
    output, status = run(path="tests.test_cli_health:memory")
    assert "only that process can tell; ask its server with --url" in output
    assert status == 1


def test_a_layer_that_cannot_tell_is_no_healthy_one():
    output, status = run(path="tests.test_cli_health:cannot_tell")
    assert "BaseChannelLayer cannot tell what waits on its channels" in output
    assert status == 1


def test_the_help_teaches():
    output, status = run("--help", path=None)
    for text in ("health project.asgi:channel_layer", "--url http://127.0.0.1:8000/-/readyz"):
        assert text in output
    assert status == 0


# Of a running server ------------------------------------------------------------------------------


@pytest.fixture
def answering():
    """``answering(status, body)`` is the URL of a server that says so."""
    servers = []

    def start(status, body):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}/-/readyz"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_server_that_is_ready_is_well(answering, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    output, status = run("--url", answering(200, b'{"status": "ok"}'), path=None)
    assert "answers 200 after" in output
    assert output.endswith("Healthy.\n")
    assert status == 0


def test_a_server_that_is_not_says_why(answering):
    url = answering(503, b'{"status": "failing", "reasons": ["the bus does not answer"]}')
    output, status = run("--url", url, path=None)
    assert output.endswith("Failing: the bus does not answer\n")
    assert status == 1
    found = json.loads(run("--url", url, "--json", path=None)[0])
    assert (found["answer"], found["reasons"]) == (503, ["the bus does not answer"])


@pytest.mark.parametrize("body", [b"<p>Not found", b"[]", b'{"reasons": 1}', b"\xff"])
def test_an_answer_of_something_else_is_a_failure(answering, body):
    output, status = run("--url", answering(404, body), path=None)
    assert output.endswith("Failing: the server answers 404\n")
    assert status == 1


def test_a_server_that_is_not_there_is_a_failure():
    url = f"http://127.0.0.1:{free_port()}/-/readyz"
    output, status = run("--url", url, path=None)
    assert output.startswith(f"Failing: no answer from {url}: ")
    assert status == 1


def test_a_server_that_hangs_is_a_failure():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/-/readyz"
        output, status = run("--url", url, "--timeout", "0.1", path=None)
    assert output == f"Failing: no answer from {url}: timed out\n"
    assert status == 1


def test_another_kind_of_url_is_refused():
    output, status = run("--url", "file:///etc/passwd", path=None)
    assert "is not the URL of a probe" in output
    assert status == 2


# As it is used ------------------------------------------------------------------------------------


def test_the_command_tells_a_bus_with_a_stall_from_one_without(redis_server, tmp_path):
    prefix = "health-command:"
    (tmp_path / "bus_here.py").write_text(
        "from channels_classic.layers.redis import RedisChannelLayer\n"
        f"layer = RedisChannelLayer(hosts=[{redis_server.url!r}], prefix={prefix!r})\n"
    )
    layer = RedisChannelLayer(hosts=[redis_server.url], prefix=prefix)
    layer.beat("w", ["work"], ttl=60, recover=False)
    options = ["--channel", "work", "--stalled-after", "0.3", "--slow-bus", "20"]
    options += ["--timeout", "20"]

    def health():
        command = [COMMAND, "health", "bus_here:layer", *options]
        with Process(command, log=tmp_path / "log", cwd=tmp_path) as process:
            status = process.wait(40)
        output = (tmp_path / "log").read_text()
        (tmp_path / "log").unlink()
        return status, output

    status, output = health()
    assert (status, "Healthy." in output) == (0, True), output
    layer.send("work", {})
    status, output = health()
    assert status == 1
    assert "Failing: work: 1 message waits, none was completed in 0 s, 1 worker reads it" in output
    layer.close()


def test_a_completed_message_ends_the_wait(redis_server, monkeypatch):
    found = RedisChannelLayer(hosts=[redis_server.url], prefix="health-wait:")
    monkeypatch.setattr(sys.modules[__name__], "layer", found)
    other = RedisChannelLayer(hosts=[redis_server.url], prefix="health-wait:")
    other.send("work", {})
    results = []
    options = ("--channel", "work", "--stalled-after", "60", "--slow-bus", "20", "--timeout", "20")
    thread = threading.Thread(target=lambda: results.append(run(*options)))
    thread.start()
    end = time.monotonic() + 30
    while thread.is_alive() and time.monotonic() < end:
        other.count("work", Counter.COMPLETED)
        thread.join(0.05)
    assert [status for _, status in results] == [0]
    other.close()
