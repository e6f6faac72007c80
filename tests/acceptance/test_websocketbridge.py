"""websocketbridge.js in a real browser: streams, and a socket that comes back by itself."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver

from tests.acceptance.processes import Process, free_port, wait_until

pytestmark = pytest.mark.browser

SITE = Path(__file__).parent / "bridge_site"
#: Makes ``bridge``, connected with ``options``, and notes what it hears in ``heard``.
CONNECT = """
    window.heard = [];
    window.bridge = new channels.WebSocketBridge();
    bridge.connect("/stream/", undefined, { minReconnectionDelay: 50, ...arguments[0] });
    bridge.listen((...message) => heard.push(message));
    bridge.demultiplex("letters", (...message) => heard.push(["letters", ...message]));
    bridge.demultiplex("numbers", (...message) => heard.push(["numbers", ...message]));
    bridge.socket.addEventListener("open", () => heard.push("open"));
    bridge.socket.addEventListener("close", (event) => heard.push(`close ${event.code}`));
    bridge.socket.onerror = (event) => { if (event.code) heard.push(event.code); };
"""
#: A socket that never opens; each attempt is refused at once, or not even that.
NO_SERVER = """
    class NoServer extends EventTarget {
        constructor() { super(); this.readyState = 0; if (%s) setTimeout(() => this.close()); }
        close() { this.readyState = 3; this.dispatchEvent(new CloseEvent("close")); }
    }
"""


class Bridge:
    """A bridge on the page of the site, driven from here."""

    def __init__(self, driver: webdriver.Chrome, server: Process, address: str) -> None:
        self.driver = driver
        self.server = server
        self.address = address
        driver.get(address)

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def connect(self, **options: Any) -> None:
        self.run(CONNECT, options)
        self.wait_for("open")

    def send(self, script: str) -> None:
        self.run(f"bridge.{script}")

    @property
    def heard(self) -> list[Any]:
        return self.run("return heard")

    def wait_for(self, what: Any, times: int = 1) -> None:
        wait_until(lambda: self.heard.count(what) == times, 20, f"{times} times {what!r}")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Process, int]]:
    port = free_port()
    command = [sys.executable, "manage.py", "runserver", "--noreload", f"127.0.0.1:{port}"]
    log = tmp_path_factory.mktemp("bridge") / "runserver.log"
    with Process(command, log=log, cwd=SITE) as process:
        process.wait_for_port(port, 30)
        yield process, port


@pytest.fixture
def bridge(driver: webdriver.Chrome, server: tuple[Process, int]) -> Iterator[Bridge]:
    """A page with the bridge's file; nothing is connected yet."""
    process, port = server
    yield Bridge(driver, process, f"http://127.0.0.1:{port}/")
    driver.get("about:blank")
    assert "Error in the consumer" not in process.output()


def test_a_page_tells_the_streams_of_one_socket_apart(bridge):
    bridge.connect()
    bridge.send("stream('letters').send({ a: 1 })")
    bridge.send("stream('numbers').send({ b: 2 })")
    process = bridge.server.pid
    bridge.wait_for(["numbers", {"b": 2, "process": process}, "numbers"])
    assert bridge.heard == [
        "open",
        ["letters", {"a": 1, "process": process}, "letters"],
        ["numbers", {"b": 2, "process": process}, "numbers"],
    ]


def test_what_is_of_no_stream_goes_to_the_listener_alone(bridge):
    bridge.connect()
    bridge.send("stream('toString').send({})")  # nobody demultiplexes it
    bridge.send("send({ plain: true })")
    bridge.wait_for([{"plain": True}, None])
    assert bridge.heard == ["open", [{"plain": True}, None]]


def test_a_page_is_connected_again_by_itself_after_the_server_was_killed(bridge):
    bridge.connect()
    first = bridge.server.pid
    bridge.server.kill()
    bridge.wait_for("close 1006")
    bridge.server.start()
    bridge.wait_for("open", times=2)
    bridge.send("stream('letters').send({ a: 1 })")
    bridge.wait_for(["letters", {"a": 1, "process": bridge.server.pid}, "letters"])
    assert bridge.server.pid != first


def test_a_closed_socket_comes_back_unless_it_is_to_be_kept_closed(bridge):
    bridge.connect()
    bridge.run("window.kept = bridge.socket; kept.close(4000, 'enough', { keepClosed: true })")
    bridge.wait_for("close 4000")
    bridge.connect()
    bridge.send("socket.close()")
    bridge.wait_for("open", times=2)
    assert bridge.run("return kept.readyState") == 3
    assert bridge.heard == ["open", "close 1000", "open"]


def test_a_page_that_is_left_lets_go_of_its_socket_and_connects_when_somebody_is_back(bridge):
    bridge.connect()
    bridge.run("window.left = bridge.socket._socket")
    bridge.driver.get("about:blank")
    bridge.driver.back()
    wait_until(lambda: bridge.run("return window.heard?.includes('close 1000')"), 20)
    bridge.wait_for("open", times=2)
    assert bridge.run("return left.readyState") == 3
    bridge.send("send({ back: true })")
    bridge.wait_for([{"back": True}, None])


def test_the_window_lets_go_of_a_socket_that_is_closed_for_good(bridge):
    before = window_listeners(bridge)
    bridge.connect()
    assert window_listeners(bridge) == before + 2
    bridge.send("socket.close()")
    bridge.wait_for("open", times=2)
    assert window_listeners(bridge) == before + 2
    bridge.send("socket.close(1000, '', { keepClosed: true })")
    assert window_listeners(bridge) == before
    bridge.send("socket.close()")  # after all
    bridge.wait_for("open", times=3)
    assert window_listeners(bridge) == before + 2


def window_listeners(bridge: Bridge) -> int:
    """How many listeners the window has for a page that is left or shown again."""
    call = bridge.driver.execute_cdp_cmd
    window = call("Runtime.evaluate", {"expression": "window"})["result"]["objectId"]
    found = call("DOMDebugger.getEventListeners", {"objectId": window})["listeners"]
    return sum(each["type"] in ("pagehide", "pageshow") for each in found)


@pytest.mark.parametrize(("fast", "seen"), [(True, ["open", "close 1000"]), (False, ["open"])])
def test_a_fast_close_does_not_wait_for_the_server(bridge, fast, seen):
    bridge.connect()
    close = "bridge.socket.close(1000, '', { fastClose: arguments[0], keepClosed: true })"
    assert bridge.run(f"{close}; return [...heard]", fast) == seen
    wait_until(lambda: bridge.run("return bridge.socket.readyState") == 3)
    bridge.wait_for("close 1000")


def test_what_is_sent_while_there_is_no_connection_is_lost(bridge):
    bridge.connect()
    bridge.send("socket.close(); bridge.send({ number: 1 })")
    bridge.wait_for("open", times=2)
    bridge.send("send({ number: 2 })")
    bridge.wait_for([{"number": 2}, None])
    assert [{"number": 1}, None] not in bridge.heard


def test_what_is_sent_while_there_is_no_connection_waits_if_asked_for(bridge):
    bridge.connect(maxEnqueuedMessages=2)
    bridge.send("socket.close(); for (const number of [1, 2, 3]) bridge.send({ number })")
    bridge.wait_for([{"number": 3}, None])
    assert bridge.heard[-3:] == ["open", [{"number": 2}, None], [{"number": 3}, None]]


def test_the_pauses_between_attempts_grow_until_it_gives_up(bridge):
    bridge.run(
        NO_SERVER % "true"
        + """
        const later = window.setTimeout;
        window.pauses = [];
        window.setTimeout = (call, pause) => {
            if (pause >= 1500) pauses.push(pause);
            return later(call, 0);
        };
        """
        + CONNECT.replace(
            "minReconnectionDelay: 50, ", "connectionTimeout: 1, constructor: NoServer, "
        ),
        {"maxRetries": 9},
    )
    bridge.wait_for("EHOSTDOWN")
    pauses = bridge.run("return pauses")
    assert len(pauses) == 9
    assert 1500 <= pauses[0] <= 3000
    growing = [pauses[0] * 1.3**number for number in range(9)]
    assert pauses == pytest.approx([min(pause, 10_000) for pause in growing])
    assert window_listeners(bridge) == 0


def test_an_attempt_that_nobody_answers_is_given_up(bridge):
    script = NO_SERVER % "false" + CONNECT.replace("minReconn", "constructor: NoServer, minReconn")
    bridge.run(script, {"connectionTimeout": 10, "maxRetries": 1})
    bridge.wait_for("EHOSTDOWN")
    assert bridge.heard.count("ETIMEDOUT") == 2


@pytest.mark.parametrize(
    ("url", "address"),
    [(None, "ws://{host}/"), ("/a/?b=c", "ws://{host}/a/?b=c"), ("ws://{host}/d", "ws://{host}/d")],
)
def test_a_socket_is_on_this_host_unless_it_is_told_where(bridge, url, address):
    host = bridge.address.removeprefix("http://").rstrip("/")
    script = """
        window.bridge = new channels.WebSocketBridge();
        bridge.connect(arguments[0] ?? undefined);
        return bridge.socket.url;
    """
    assert bridge.run(script, url and url.format(host=host)) == address.format(host=host)


def test_a_bridge_that_is_not_connected_says_so(bridge):
    script = "try { new channels.WebSocketBridge().listen() } catch (error) { return `${error}` }"
    assert bridge.run(script) == "Error: WebSocketBridge: call connect() first"


def test_a_page_of_another_origin_opens_no_socket(bridge):
    """Weakness 10: there was no check of the origin."""
    elsewhere = bridge.address.replace("127.0.0.1", "localhost")
    bridge.driver.get(f"{elsewhere}static/channels_classic/websocketbridge.js")
    bridge.run(
        """
        window.heard = [];
        const socket = new WebSocket(arguments[0]);
        socket.onopen = () => heard.push("open");
        socket.onclose = () => heard.push("close");
        """,
        bridge.address.replace("http", "ws") + "stream/",
    )
    bridge.wait_for("close")
    assert bridge.heard == ["close"]
    origin = elsewhere.rstrip("/")
    bridge.server.wait_for_line(f"Refused the WebSocket on '/stream/' of a page from '{origin}'")
