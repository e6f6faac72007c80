"""The probes: what they say of a server that is well, and of one that is not."""

from __future__ import annotations

import asyncio
import json

import pytest

from channels_classic.asgi import ChannelLayerWrapper
from channels_classic.exceptions import LayerUnavailable
from channels_classic.layers.counters import Counter
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.layers.redis import RedisChannelLayer
from channels_classic.routing import route
from channels_classic.server import InterfaceServer, vitals
from channels_classic.worker import Worker
from tests.acceptance.processes import free_port
from tests.server.ends import Client, Request, until
from tests.server.test_run import fetch
from tests.server.test_run import server as process

LIVE, READY = "/-/livez", "/-/readyz"


class Looked(InMemoryChannelLayer):
    """Counts how often it was looked at, and may be away, in the way or broken."""

    looks = 0
    error: Exception | None = None
    held: asyncio.Event | None = None

    async def loads(self, channels):
        self.looks += 1
        if self.held is not None:
            await self.held.wait()
        if self.error is not None:
            raise self.error
        return await super().loads(channels)


@pytest.fixture
def layer():
    return Looked()


@pytest.fixture(autouse=True)
def _often(monkeypatch):
    monkeypatch.setattr(vitals, "EVERY", 0.01)


async def probe(app, path=READY, method="GET"):
    """Status, headers and body."""
    return await Request(app, path=path, method=method).start().answer()


async def reasons(app, path=READY):
    """Why the probe fails; none if it does not."""
    status, _, body = await probe(app, path)
    content = json.loads(body)
    assert (status, content["status"]) in [(200, "ok"), (503, "failing")]
    return content.get("reasons", [])


async def failing(app, path=READY):
    """The reasons, once the probe fails."""
    while not (found := await reasons(app, path)):  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0.005)
    return found


# What is answered -------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [LIVE, READY])
async def test_a_server_that_is_well_says_so(server, path):
    status, headers, body = await probe(server(), path)
    assert (status, json.loads(body)) == (200, {"status": "ok"})
    assert headers[b"content-type"] == b"application/json"
    assert headers[b"cache-control"] == b"no-store"
    assert headers[b"content-length"] == str(len(body)).encode()


@pytest.mark.parametrize("path", [LIVE, READY])
async def test_head_has_the_headers_alone(server, path):
    app = server()
    _, expected, _ = await probe(app, path)
    assert await probe(app, path, "HEAD") == (200, expected, b"")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "get"])
async def test_other_methods_are_refused(server, method):
    status, headers, _ = await probe(server(), READY, method)
    assert (status, headers[b"allow"]) == (405, b"GET, HEAD")


async def test_no_message_and_no_line_of_the_access_log_comes_of_it(server, layer):
    told = []
    app = server(action_logger=lambda *action: told.append(action))
    await probe(app)
    await probe(app, LIVE)
    assert told == []
    assert layer.global_statistics()["messages_count"] == 0


async def test_the_paths_are_settings(server, workers):
    app = server(live_path="/alive", ready_path="/ready")
    for path in ("/alive", "/ready"):
        assert (await probe(app, path))[0] == 200
    request = Request(app, path=LIVE).start()
    await workers.reply(await workers.take("http.request"), status=404, content=b"of the site")
    assert (await request.answer())[0] == 404


async def test_without_paths_there_are_no_probes_and_no_looks(server, workers, layer):
    app = server(live_path="", ready_path="")
    request = Request(app, path="").start()
    await workers.reply(await workers.take("http.request"), status=200)
    await request.answer()
    assert layer.looks == 0


async def test_a_websocket_is_none_of_them(socket_to, workers):
    socket = socket_to(path=READY)
    await workers.reply(await workers.take("websocket.connect"), accept=True)
    assert (await socket.next_event())["type"] == "websocket.accept"


# What it costs ----------------------------------------------------------------------------------


async def test_whoever_asks_how_often_the_bus_is_asked_once_in_a_while(server, layer, monkeypatch):
    monkeypatch.setattr(vitals, "EVERY", 60)
    app = server()
    for _ in range(50):
        assert await reasons(app) == await reasons(app, LIVE) == []
    assert layer.looks == 1


async def test_a_stall_is_noticed_though_nobody_asks(server, layer):
    app = server(stalled_after=0.05)
    lifespan = Client(app, {"type": "lifespan"}).start()
    lifespan.incoming.put_nowait({"type": "lifespan.startup"})
    await lifespan.next_event()
    layer.send("http.request", {})
    looks = layer.looks
    await until(lambda: layer.looks > looks + 10)  # each at least EVERY after the one before
    assert await reasons(app) != []
    lifespan.incoming.put_nowait({"type": "lifespan.shutdown"})
    await lifespan.done()
    looks = layer.looks
    await asyncio.sleep(0.05)
    assert layer.looks == looks  # it has ended with the server


# What is wrong ----------------------------------------------------------------------------------


async def test_messages_that_nobody_takes_make_it_unready_and_not_dead(server, layer):
    app = server(stalled_after=0.05)
    layer.send("http.request", {})
    [reason] = await failing(app)
    assert reason.startswith("http.request: 1 message waits, none was completed in ")
    assert reason.endswith("no worker reads it")
    assert await reasons(app, LIVE) == []


async def test_workers_that_complete_nothing_make_it_unready(server, layer, workers):
    app = server(stalled_after=0.05)
    layer.send("websocket.receive", {})
    await workers.hold("websocket.receive")
    layer.send("websocket.receive", {})
    [reason] = await failing(app)
    assert reason.startswith("websocket.receive: 1 message waits")
    assert reason.endswith("1 worker reads it")
    layer.count("websocket.receive", Counter.COMPLETED)
    await until_ready(app)


async def until_ready(app):
    while await reasons(app):  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0.005)


async def test_other_channels_count_only_if_asked_for(server, layer):
    layer.send("thumbnails", {})
    app, careful = (
        server(stalled_after=0.03),
        server(stalled_after=0.03, probe_channels=["thumbnails"]),
    )
    assert await reasons(app) == []
    [reason] = await failing(careful)
    assert reason.startswith("thumbnails: ")
    assert await reasons(app) == []


async def test_what_is_delayed_is_no_stall(server, layer):
    app = server(stalled_after=0.02)
    layer.deliver([layer.prepare("http.request", {}, delay=60)])
    await probe(app)
    looks = layer.looks
    await until(lambda: layer.looks > looks + 10)
    assert await reasons(app) == []


async def test_a_server_that_drains_is_unready_and_not_dead(server):
    app = server()
    assert await reasons(app) == []
    assert not app.draining
    app.drain()
    assert app.draining
    assert await reasons(app) == ["this server is stopping"]
    assert await reasons(app, LIVE) == []


async def test_a_server_that_has_left_the_bus_is_neither_and_does_not_come_back(server, layer):
    app = server()
    assert await reasons(app) == []
    app.drain()
    await app.close()
    looks = layer.looks
    assert await reasons(app) == await reasons(app, LIVE) == ["this server is stopping"]
    assert layer.looks == looks


async def test_a_bus_that_is_away_is_said_without_its_address(server, layer):
    app = server(stalled_after=0.01)
    layer.error = LayerUnavailable("Redis at 10.0.0.1:6379 does not answer")
    assert await reasons(app) == ["the bus does not answer"]
    assert await reasons(app, LIVE) == []
    layer.error = None
    await until_ready(app)


async def test_what_happened_while_the_bus_was_away_is_no_stall(server, layer):
    app = server(stalled_after=0.5)
    layer.send("http.request", {})
    assert await reasons(app) == []
    layer.error = LayerUnavailable()
    await failing(app)
    await asyncio.sleep(0.5)
    layer.error = None
    looks = layer.looks
    await until(lambda: layer.looks > looks + 1)
    assert await reasons(app) == []


async def test_a_bus_that_is_slow_is_said_while_it_is(server, layer):
    app = server(slow_bus=0.05)
    layer.held = asyncio.Event()
    [reason] = await reasons(app)  # the first look is waited for, so long
    assert reason == "the bus takes 0.1 s to answer"
    layer.held.set()
    await until_ready(app)


async def test_a_mistake_in_a_look_is_said_and_the_looks_go_on(server, layer, caplog):
    app = server()
    layer.error = KeyError("oops")
    assert await reasons(app) == ["the bus cannot be looked at: the log says why"]
    assert "KeyError('oops')" in caplog.text
    layer.error = None
    await until_ready(app)


async def test_a_layer_that_cannot_tell_is_never_stalled(server, layer, monkeypatch):
    async def loads(channels):
        layer.looks += 1
        return {}

    monkeypatch.setattr(layer, "loads", loads)
    app = server(stalled_after=0.01)
    layer.send("http.request", {})
    await probe(app)
    await until(lambda: layer.looks > 10)
    assert await reasons(app) == []


# A server that gets nothing done itself -----------------------------------------------------------


async def test_a_server_that_no_longer_looks_is_dead(server, layer, monkeypatch):
    monkeypatch.setattr(vitals, "SILENCE", 0.05)
    layer.held = asyncio.Event()
    app = server(stalled_after=0.01, slow_bus=0.01)
    [reason] = await failing(app, LIVE)
    assert reason.startswith("this server has not looked at the bus for ")


async def test_a_server_that_no_longer_reads_is_dead(server, layer, monkeypatch):
    monkeypatch.setattr(vitals, "SILENCE", 0.05)
    app = server(stalled_after=0.01)
    assert await reasons(app, LIVE) == []
    app._open_bus().replies.start()  # it waits for an answer, longer than that
    [reason] = await failing(app, LIVE)
    assert reason.startswith("this server has not read its answers for ")


# With workers, on each layer ----------------------------------------------------------------------


@pytest.fixture(params=["memory", "redis"])
def any_layer(request):
    if request.param == "memory":
        yield InMemoryChannelLayer()
        return
    url = request.getfixturevalue("redis_server").url
    found = RedisChannelLayer(hosts=[url], prefix=f"{request.node.name[:40]}:")
    yield found
    found.close()


async def test_a_worker_that_hangs_makes_it_unready_until_it_goes_on(any_layer, monkeypatch):
    going_on = asyncio.Event()
    loop = asyncio.get_running_loop()

    def consumer(message):
        asyncio.run_coroutine_threadsafe(going_on.wait(), loop).result(10)

    wrapper = ChannelLayerWrapper(any_layer, "default", [route("http.request", consumer)])
    worker = Worker(wrapper, signal_handlers=False)
    working = loop.run_in_executor(None, worker.run)
    app = InterfaceServer(any_layer, stalled_after=0.3)
    for _ in range(3):
        await any_layer.send_async("http.request", {"reply_channel": "nobody!1"})
    [reason] = await failing(app)
    assert reason.startswith("http.request: ")
    assert reason.endswith("1 worker reads it")
    going_on.set()
    await until_ready(app)
    worker.stop()
    await working
    await app.close()


def test_a_server_process_answers_its_probes(tmp_path):
    port = free_port()
    with process(tmp_path, "--port", port, "--ready-path", "/ready") as started:
        started.wait_for_port(port)
        assert fetch(port, "/ready")[0] == fetch(port, LIVE)[0] == 200
        status, headers, body = fetch(port, "/ready", method="HEAD")
        assert (status, body) == (200, b"")
        assert headers["cache-control"] == "no-store"
        assert "ready" not in started.output()
