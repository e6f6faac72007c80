"""Redis, server and workers on machines of their own, and what cut cables do to them."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import time
from collections import Counter as Tally
from collections.abc import Iterator
from pathlib import Path
from subprocess import CalledProcessError

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from channels_classic.layers.redis import RedisChannelLayer
from tests.acceptance.bus import COMMANDS, START, BusSite, Note
from tests.acceptance.machines import Network, need_namespaces
from tests.acceptance.processes import Process, wait_until
from tests.acceptance.soak import figures

#: What the worker machine is cut off for, in seconds.
CUT = 20.0
#: What the server is cut off from Redis for, too short to be taken for dead; in seconds.
MOMENT = 4.0
#: Until then all must be well, in seconds after the cable is in again.
SOON = 15.0
#: How long consumers take that are to be busy when it happens, in seconds.
LASTING = 8.0
PORT = 8000

pytestmark = pytest.mark.timeout(300)


class Site(BusSite):
    """The site on three machines: ``bus``, ``web`` and ``work``; clients are at the switch."""

    def __init__(self, folder: Path, network: Network) -> None:
        super().__init__(folder, f"redis://{network.addresses['bus']}:6379")
        self.network = network
        self._file = folder / "redis.sock"
        self._machine = {"redis": "bus", "server": "web", "worker": "work"}
        options = json.loads(self.env["BUS_CONFIG"])
        self.layer.close()  # by a file the tests reach Redis, whatever becomes of the network
        self.layer = RedisChannelLayer(**{**options, "hosts": [f"unix://{self._file}"]})

    def _start(self, name: str, command: list[str | os.PathLike[str]]) -> Process:
        return super()._start(name, [*self.network.command(self._machine[name], command)])

    def redis(self) -> None:
        """Redis, on a machine of its own."""
        command = ["redis-server", "--port", "6379", "--bind", self.network.addresses["bus"]]
        command += ["--protected-mode", "no", "--unixsocket", str(self._file)]
        command += ["--save", "", "--appendonly", "no", "--dir", str(self.folder)]
        self._start("redis", [*command]).wait_for_line("Ready to accept connections")

    def web(self) -> None:
        """The interface server; it trusts nobody's network but that of its machine."""
        address = ["-b", self.network.addresses["web"], "-p", str(PORT)]
        command = [COMMANDS / "channels-classic", "server", "asgi:channel_layer", *address]
        self._start("server", command).wait_for_line("Listening on", START)

    @contextlib.contextmanager
    def worker_elsewhere(self) -> Iterator[Process]:
        """One more worker, on the server's machine, while the block runs."""
        self._machine["worker"] = "web"
        worker = self.worker("--threads", "2")
        self._machine["worker"] = "work"
        yield worker
        assert worker.terminate() == 0
        self.processes.remove(worker)

    def asked(self, timeout: float) -> http.client.HTTPConnection:
        """A client that has asked for a page, and waits so long for each part of the answer."""
        client = http.client.HTTPConnection(self.network.addresses["web"], PORT, timeout=timeout)
        with self.network.within():
            client.request("GET", "/digest/", headers={"Host": "localhost"})
        return client

    def page(self) -> int:
        """The status of a page, 0 if none comes soon."""
        with contextlib.closing(self.asked(2)) as client, contextlib.suppress(TimeoutError):
            return client.getresponse().status
        return 0

    def socket(self, path: str) -> ClientConnection:
        """An open socket of a client at the switch."""
        url = f"ws://{self.network.addresses['web']}:{PORT}{path}"
        with self.network.within():
            return connect(url, open_timeout=30, ping_interval=None)

    def counts(self, channel: str) -> dict[str, float]:
        """Of a channel, those counters that are not zero."""
        found = self.layer.channel_statistics(channel)
        return {key.removesuffix("_count"): n for key, n in found.items() if n}

    def pending(self, channel: str) -> float:
        """Messages of a channel that nobody has dealt with."""
        return self.counts(channel).get("messages_pending", 0)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    need_namespaces()
    network = Network(["bus", "web", "work"])
    with network, Site(tmp_path_factory.mktemp("machines"), network) as site:
        site.redis()
        site.web()
        site.workers(2, "--threads", "2")
        yield site


@pytest.fixture
def talk(site: Site) -> Iterator[ClientConnection]:
    with site.socket("/talk/") as socket:
        yield socket


@pytest.fixture
def member(site: Site) -> Iterator[ClientConnection]:
    with site.socket("/groups/all") as socket:
        socket.send(json.dumps(["echo", "hello"]))
        assert socket.recv(timeout=SOON) == "hello"  # connect has been run
        yield socket


# What a site does -------------------------------------------------------------------------


def says(socket: ClientConnection, text: str) -> list[str]:
    """What comes before the echo of ``text``."""
    socket.send(text)
    deadline = time.monotonic() + SOON
    before: list[str] = []
    while True:
        _, _, echo = str(socket.recv(timeout=max(0, deadline - time.monotonic()))).partition(" ")
        if echo == text:
            return before
        before.append(echo)


def check_all(site: Site, talk: ClientConnection, member: ClientConnection, word: str) -> float:
    """Pages, an open socket, a group and a task work; how many seconds that took."""
    began = time.monotonic()
    says(talk, word)
    wait_until(lambda: site.page() == 200, SOON, "a page")
    with site.socket("/talk/") as new:
        says(new, word)
    site.layer.send_group("all", {"text": word})
    assert member.recv(timeout=SOON) == word
    site.layer.send("groups.task", {"number": word})
    wait_until(lambda: word in runs(site, "groups.task"), SOON, "the task")
    return time.monotonic() - began


def runs(site: Site, what: str, who: str = "") -> Tally[str]:
    """How often each message was run, by its number."""
    notes = site.journal.notes(what, who)
    return Tally(note.number if who else note.who for note in notes)


def in_hand(site: Site, *numbers: int) -> list[Note]:
    """Have a thread busy with each message; those with negative numbers are run once at most."""
    began = []
    for number in numbers:
        channel = "bus.lasting" if number > 0 else "bus.lasting-once"
        site.layer.send(channel, {"number": number, "seconds": LASTING})
        began += site.wait_for_notes(1, "began", number, timeout=SOON)
    return began


def namespaces() -> list[str]:
    """Those that this process has made."""
    return sorted(path.name for path in Path("/run/netns").glob(f"channels-{os.getpid()}-*"))


def test_a_network_leaves_nothing_behind(site: Site) -> None:
    before = namespaces()
    with contextlib.suppress(ZeroDivisionError), Network(["one", "two"]):
        assert len(namespaces()) == len(before) + 3
        1 / 0  # noqa: B018
    assert namespaces() == before
    with pytest.raises(CalledProcessError), Network(["one", "a-name-of-16-too"]):
        pass
    assert namespaces() == before


def test_the_site_works_over_three_machines(
    site: Site, talk: ClientConnection, member: ClientConnection
) -> None:
    assert check_all(site, talk, member, "first") < SOON


def test_all_goes_on_when_the_worker_machine_was_cut_off(
    site: Site, talk: ClientConnection, member: ClientConnection
) -> None:
    says(talk, "before")
    in_hand(site, 1, -1)  # two more threads wait for messages
    with site.network.cut_off("work"):
        end = time.monotonic() + CUT
        talk.send("meanwhile")
        asked = site.asked(CUT + SOON)
        for number in range(30):
            site.layer.send("bus.count", {"number": number})
            site.layer.send("bus.risky", {"number": number})
        site.layer.send_group("all", {"text": "to all"})
        assert member.recv(timeout=SOON) == "to all"  # for that no worker is needed
        wait_until(lambda: site.page() == 503, SOON, "the server to know that nobody works")
        time.sleep(max(0, end - time.monotonic()))  # the fault itself
    took = check_all(site, talk, member, "after")
    with contextlib.closing(asked):
        assert asked.getresponse().status == 200  # as late as that
    figures("two machines", f"all well {took:.1f} s after a cut of {CUT:.0f} s")
    assert took < SOON
    everything = ["bus.lasting", "bus.lasting-once", "bus.count", "bus.risky"]
    for channel in everything:
        wait_until(lambda: not site.pending(channel), SOON, f"nothing waits on {channel}")  # noqa: B023
    numbers = {str(number) for number in range(30)}
    assert set(runs(site, "ran", "risky")) == numbers
    assert set(runs(site, "ran", "lasting")) == {"1"}
    assert runs(site, "ran", "lasting-once") == {"-1": 1}
    counted = runs(site, "ran", "count")
    assert max(counted.values()) == 1
    lost = site.counts("bus.count").get("lost", 0)
    assert len(counted) + lost == 30
    figures("two machines", f"of 30 sent meanwhile {len(counted)} run and {lost:.0f} lost")


def test_others_take_over_from_a_machine_that_is_cut_off(
    site: Site, talk: ClientConnection, member: ClientConnection
) -> None:
    before = site.counts("bus.lasting-once").get("lost", 0)
    began = in_hand(site, 11, 12, -11, -12)
    with site.worker_elsewhere() as worker:
        assert worker.pid not in {note.pid for note in began}
        with site.network.cut_off("work"):
            check_all(site, talk, member, "meanwhile")
            for number in (11, 12):
                notes = site.wait_for_notes(2, "began", number, timeout=3 * SOON)
                assert notes[-1].pid == worker.pid
            wait_until(
                lambda: site.counts("bus.lasting-once").get("lost", 0) - before == 2,
                SOON,
                "those that are not run again to be counted",
            )
        check_all(site, talk, member, "again")
    for number in ("-11", "-12"):  # their workers did not know that they were taken for dead
        wait_until(lambda: runs(site, "ran", "lasting-once")[number], SOON, "the end of it")  # noqa: B023
        assert runs(site, "ran", "lasting-once")[number] == 1
    pids = {note.pid for note in began}
    number = iter(range(1000, 10**6))

    def back() -> bool:
        site.layer.send("bus.count", {"number": next(number)})
        late = [note for note in site.journal.notes("ran", "count") if int(note.number) >= 1000]
        return pids <= {note.pid for note in late}

    wait_until(back, SOON, "both workers that were cut off to work again")
    for channel in ("bus.lasting", "bus.lasting-once", "bus.count"):
        wait_until(lambda: not site.pending(channel), SOON, f"nothing waits on {channel}")  # noqa: B023


def test_all_goes_on_when_the_server_was_cut_off_from_redis_for_a_moment(
    site: Site, talk: ClientConnection, member: ClientConnection
) -> None:
    says(talk, "before")
    before = site.counts("websocket.receive").get("lost", 0)
    with site.network.parted("web", "bus"):
        talk.send("meanwhile")
        site.layer.send_group("all", {"text": "meanwhile"})
        time.sleep(MOMENT)  # the fault itself
    assert member.recv(timeout=SOON) == "meanwhile"
    answered = says(talk, "after")
    assert answered in ([], ["meanwhile"])

    def lost() -> float:
        return site.counts("websocket.receive").get("lost", 0) - before

    if not answered:  # it was on its way just then: nobody knows how far, and that is counted
        wait_until(lambda: lost() == 1, SOON, "the lost message to be counted")
    assert lost() == 1 - len(answered)
    took = check_all(site, talk, member, "after-all")
    figures("two machines", f"all well {took:.1f} s after {MOMENT:.0f} s without Redis")
    assert took < SOON
    assert all(each.popen and each.popen.poll() is None for each in site.processes)


def name_of(socket: ClientConnection) -> str:
    """What the consumers know a socket by."""
    socket.send(json.dumps(["name", ""]))
    return str(socket.recv(timeout=SOON))


def test_sockets_of_a_server_that_was_taken_for_dead_are_closed_to_come_again(site: Site) -> None:
    with site.socket("/groups/all") as one, site.socket("/groups/other") as other:
        names = [name_of(socket) for socket in (one, other)]
        with site.network.parted("web", "bus"):
            for name in names:
                site.wait_for_notes(1, "disconnect", name, timeout=2 * SOON)
        for socket in (one, other):
            with pytest.raises(ConnectionClosed):
                socket.recv(timeout=SOON)
            assert socket.close_code == 1012
    with site.socket("/talk/") as talk, site.socket("/groups/all") as member:
        took = check_all(site, talk, member, "anew")
    assert took < SOON
    wait_until(lambda: site.layer.group_count("all") == 0, SOON, "nobody to be left in the group")
    for name in names:  # and were told once
        assert [each.number for each in site.journal.notes("disconnect", name)] == ["1006"]
