"""``--processes``: a parent with the sockets, and servers that come and go."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.acceptance.processes import Process, free_port, port_answers, wait_until
from tests.certificates import make_certificate
from tests.server.test_run import ROOT, UnixConnection, fetch

#: What a process serves that has been started from the file at this time.
SITE = """
import os
from tests.server import site
from tests.server.site import channel_layer

print("imported by", os.getpid(), flush=True)
site.VERSION = b"one"
"""
#: How long an interpreter may take to start on a busy machine, in seconds.
START = 60.0
CLI = [sys.executable, "-m", "channels_classic.cli", "server"]


class Family:
    """A parent and its processes."""

    def __init__(self, process, port):
        self.process = process
        self.port = port

    def pids(self):
        """Of those that run, its children in the order of their birth."""
        shown = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return sorted(map(int, shown.split()))

    def wait_for_ready(self, number):
        """Until so many have been ready since the start; the pid of the last."""
        return int(self.lines("Process (.+) serves$", number)[-1])

    def lines(self, pattern, number=1):
        """What the log has, once it has so much of it."""

        def enough():
            found = re.findall(pattern, self.process.output(), re.MULTILINE)
            return found if len(found) >= number else None

        return wait_until(enough, START, f"{number} lines {pattern!r}: {self.process.report()}")

    def answering(self, path="/pid"):
        """The answers of new connections, of whichever process takes them."""
        return {fetch(self.port, path)[2] for _ in range(4)}


@pytest.fixture
def folder(tmp_path):
    """Where the site is that is served: ``fresh:channel_layer``."""
    (tmp_path / "fresh.py").write_text(SITE)
    return tmp_path


@pytest.fixture
def start(folder):
    """``start(*options)``: a parent with two processes that serve."""
    with contextlib.ExitStack() as stack:

        def begin(*options, wait=2, number=2, command=CLI, port=None, cwd=folder, env=None):
            port = port or free_port()
            words = [*command, "fresh:channel_layer", "--port", port, "--processes", number]
            process = Process(
                [str(word) for word in (*words, *options)],
                log=folder / "server.log",
                cwd=cwd,
                env={"PYTHONPATH": str(ROOT), **(env or {})},
            )
            family = Family(stack.enter_context(process), port)
            stack.callback(lambda: [kill(pid) for pid in everybody.get(family, [])])
            if wait:
                family.wait_for_ready(wait)
                everybody[family] = family.pids()
            return family

        everybody = {}
        yield begin


def kill(pid):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def is_gone(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"  # nobody waits for it in this container, which is not our matter


# Starting -----------------------------------------------------------------------------------------


def test_the_processes_serve_and_the_parent_does_not(start, folder):
    family = start()
    pids = family.pids()
    assert len(pids) == 2
    assert family.answering() <= {b"%d" % pid for pid in pids}
    imported = re.findall("^imported by (.+)$", family.process.output(), re.MULTILINE)
    assert sorted(map(int, imported)) == pids


def test_the_banner_comes_once(start):
    family = start()
    output = family.process.output()
    for line in ("Interface server ", "Channel layer: ", "Listening on http://127.0.0.1:"):
        assert output.count(line) == 1
    assert f"process {family.process.pid}\n" in output


def test_one_that_cannot_start_ends_the_parent_with_its_error_and_status(start, folder):
    (folder / "fresh.py").write_text("import no_such_module")
    family = start(wait=0)
    assert family.process.wait(START) == 1
    assert family.process.output().count("Error: cannot import fresh: No module named") == 1
    assert not port_answers(family.port)


def test_a_bad_option_ends_the_parent_with_the_sentence(start):
    family = start("--keep-alive", 0, wait=0)
    assert family.process.wait(START) == 1
    assert "Error: keep_alive must be above 0, not 0.0" in family.process.output()


def test_a_port_in_use_is_said_before_anything_is_started(start):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        family = start(wait=0, port=taken.getsockname()[1])
        assert family.process.wait(START) == 1
    assert "Address already in use" in family.process.output()
    assert "imported by" not in family.process.output()


# Stopping -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_parent_drains_all(start, number):
    family = start()
    pids = family.pids()
    with connect(f"ws://127.0.0.1:{family.port}/echo") as client:
        client.send("hi")
        client.recv(timeout=10)
        family.process.send_signal(number)
        with pytest.raises(ConnectionClosed) as raised:
            client.recv(timeout=10)
    assert (raised.value.rcvd.code, family.process.wait()) == (1012, 0)
    assert all(is_gone(pid) for pid in pids)


def test_a_signal_to_the_whole_group_is_one_signal_to_each(start):
    """As that of a terminal, or of systemd."""
    family = start()
    client = http.client.HTTPConnection("127.0.0.1", family.port, timeout=10)
    with contextlib.closing(client):
        client.request("GET", "/slow")
        family.lines("^slow began$")
        os.killpg(family.process.pid, signal.SIGINT)
        assert client.getresponse().read() == b"slow but sure"
    assert family.process.wait() == 0


def test_a_second_signal_ends_all_at_once(start):
    family = start()
    pids = family.pids()
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", family.port)) as connection:
        connection.request("GET", "/never")
        family.lines("^never began$")
        family.process.send_signal(signal.SIGTERM)
        wait_until(lambda: len(family.pids()) == 1, message="the idle process to end")
        family.process.send_signal(signal.SIGTERM)
        assert family.process.wait() == 128 + signal.SIGTERM
    wait_until(lambda: all(is_gone(pid) for pid in pids), message="all to be gone")


def test_a_parent_that_is_killed_leaves_nobody_behind(start):
    family = start()
    pids = family.pids()
    with connect(f"ws://127.0.0.1:{family.port}/echo") as client:
        kill(family.process.pid)
        with pytest.raises(ConnectionClosed) as raised:
            client.recv(timeout=10)
    assert raised.value.rcvd.code == 1012
    wait_until(lambda: all(is_gone(pid) for pid in pids), START, "all to be gone")
    assert not port_answers(family.port)


# Dying --------------------------------------------------------------------------------------------


def test_a_process_that_dies_is_replaced_and_the_other_goes_on(start, folder):
    path = folder / "site.sock"
    family = start("--unix-socket", path)
    first, second = family.pids()
    kill(first)
    family.lines(rf"Process {first} was ended by signal 9: another starts in 0\.1 s$")
    assert family.answering() == {b"%d" % second}
    family.wait_for_ready(3)
    assert second in family.pids()
    assert len(family.pids()) == 2
    answer = fetch(0, "/hello", connection=UnixConnection(str(path)))
    assert answer[2] == b"hello"  # who has died has not taken the file away
    assert family.process.terminate() == 0
    assert not path.exists()


def test_a_process_that_is_asked_to_end_is_replaced(start):
    family = start()
    os.kill(family.pids()[0], signal.SIGTERM)
    family.lines(r"ended with status 0: another starts in")
    family.wait_for_ready(3)


def test_one_that_cannot_start_again_is_tried_again_with_growing_pauses(start, folder):
    family = start()
    (folder / "fresh.py").write_text("1 / 0")
    kill(family.pids()[0])
    pauses = family.lines(r": another starts in (\S+) s$", 3)
    assert pauses[:3] == ["0.1", "0.2", "0.4"]
    assert family.answering("/hello") == {b"hello"}
    (folder / "fresh.py").write_text(SITE)
    family.wait_for_ready(3)


# SIGHUP -------------------------------------------------------------------------------------------


def test_a_hangup_replaces_all_one_after_the_other_with_new_code(start, folder):
    family = start()
    old = family.pids()
    assert family.answering("/version") == {b"one"}
    # Of another size: what has its size and was written in the same second, Python compiles once
    (folder / "fresh.py").write_text(SITE.replace('b"one"', 'b"the second"'))
    family.process.send_signal(signal.SIGHUP)
    family.lines("Process .+ leaves$", 2)
    wait_until(lambda: not set(family.pids()) & set(old), message="the old ones to be gone")
    assert family.answering("/version") == {b"the second"}
    steps = re.findall(r"Process \d+ (\w+)$", family.process.output(), re.MULTILINE)
    assert steps == ["serves"] * 2 + ["serves", "leaves"] * 2
    assert len(family.pids()) == 2


def test_the_folder_of_the_project_may_be_a_link_to_the_newest_release(start, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "fresh.py").write_text(SITE.replace("one", name))
    current = tmp_path / "current"
    current.symlink_to("one")
    family = start(number=1, wait=1, cwd=current, env={"PWD": str(current)})
    assert family.answering("/version") == {b"one"}
    current.unlink()
    current.symlink_to("two")
    family.process.send_signal(signal.SIGHUP)
    family.lines("Process .+ leaves$")
    wait_until(lambda: len(family.pids()) == 1, message="the old one to be gone")
    assert family.answering("/version") == {b"two"}


def test_a_single_process_is_replaced_too(start):
    family = start(number=1, wait=1)
    [old] = family.pids()
    family.process.send_signal(signal.SIGHUP)
    family.lines(f"Process {old} leaves$")
    wait_until(lambda: old not in family.pids(), message="the old one to be gone")
    assert family.answering() == {b"%d" % family.pids()[0]}


def test_code_that_cannot_be_read_leaves_the_old_ones_in_their_places(start, folder):
    family = start()
    old = family.pids()
    (folder / "fresh.py").write_text("1 / 0")
    family.process.send_signal(signal.SIGHUP)
    family.lines("ended with status 1 before it was ready: those that run go on$")
    assert family.pids() == old
    (folder / "fresh.py").write_text(SITE)
    family.process.send_signal(signal.SIGHUP)
    family.wait_for_ready(4)


def test_one_that_is_not_ready_in_time_leaves_the_old_ones_in_their_places(start, folder):
    code = (
        "from channels_classic.server import processes\n"
        "from channels_classic.cli import main\n"
        "processes.STARTING = 0.5\n"
        "main()"
    )
    family = start(number=1, wait=1, command=[sys.executable, "-c", code, "server"])
    old = family.pids()
    (folder / "fresh.py").write_text("import threading\nthreading.Event().wait()")
    family.process.send_signal(signal.SIGHUP)
    family.lines(r"is not ready after 0\.5 s$")
    family.lines("was ended by signal 9 before it was ready: those that run go on$")
    assert family.pids() == old
    assert family.answering("/hello") == {b"hello"}


def test_a_new_certificate_is_read(start, folder):
    certificate, key = make_certificate(folder)
    family = start("--ssl-certfile", certificate, "--ssl-keyfile", key, number=1, wait=1)
    address = ("127.0.0.1", family.port)
    assert ssl.get_server_certificate(address, timeout=10) == certificate.read_text()
    make_certificate(folder)
    family.process.send_signal(signal.SIGHUP)
    family.lines("Process .+ leaves$")
    wait_until(lambda: len(family.pids()) == 1, message="the old one to be gone")
    assert ssl.get_server_certificate(address, timeout=10) == certificate.read_text()


# Descriptors --------------------------------------------------------------------------------------


def test_an_inherited_socket_is_shared(start, folder):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        # As systemd does: the socket is descriptor 3 of the command.
        code = "import os, sys; os.dup2(int(sys.argv[1]), 3); os.execv(sys.argv[2], sys.argv[2:])"
        words = ["fresh:channel_layer", "--fd", "3", "--processes", "2"]
        number = str(listener.fileno())
        with (
            (folder / "server.log").open("wb") as log,
            subprocess.Popen(
                [sys.executable, "-c", code, number, *CLI, *words],
                pass_fds=[listener.fileno()],
                cwd=folder,
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
            ) as popen,
        ):
            process = Process([], log=folder / "server.log")
            process.popen = popen
            try:
                family = Family(process, port)
                family.wait_for_ready(2)
                assert family.answering() <= {b"%d" % pid for pid in family.pids()}
            finally:
                popen.terminate()
            assert popen.wait(START) == 0
