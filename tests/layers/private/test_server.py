"""LocalServer: one private Redis for all the processes of a folder, from the first to the last."""

from __future__ import annotations

import fcntl
import gc
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from channels_classic.exceptions import LayerUnavailable
from channels_classic.layers.private import keeper as local_keeper
from channels_classic.layers.private import server as local_server
from channels_classic.layers.private.server import LocalServer, find_program, make_private
from tests.acceptance.processes import Process, wait_until

#: A process that uses the server of a folder until it is ended; with "fork", its child does, too.
USER = """
import os, signal, sys
from pathlib import Path
from channels_classic.layers.private.server import LocalServer
server = LocalServer(Path(sys.argv[1]), linger=float(sys.argv[2]))
server.ensure()
if "fork" in sys.argv and os.fork():
    os._exit(0)
print("uses it:", os.getpid(), flush=True)
signal.pause()
"""


@pytest.fixture
def folder():
    """Where a server may be; in the end nobody uses it, so that it must end by itself."""
    parent = Path(tempfile.mkdtemp(prefix="cc-"))
    yield parent / "server"
    gc.collect()  # the servers that the test has left
    wait_until(lambda: server_id(parent / "server") is None, message="the server to end")
    wait_until(lambda: not keepers(parent / "server"), message="the keeper to end")
    shutil.rmtree(parent)


@pytest.fixture
def server(folder):
    """The server, used by this process as soon as the test asks for it."""
    made = LocalServer(folder, linger=0.1)
    yield made
    made.leave()


@pytest.fixture
def user(folder, tmp_path):
    """``user()`` starts a process that uses the server."""
    processes = []

    def start(*options, linger=0.1, wait=True, env=None):
        log = tmp_path / f"user-{len(processes)}.log"
        command = [sys.executable, "-c", USER, folder, str(linger), *options]
        process = Process(command, log=log, env=env, cwd=Path(__file__).parents[2]).start()
        processes.append(process)
        if wait:
            process.wait_for_line("^uses it")
        return process

    yield start
    for process in processes:
        process.kill()


def client(folder):
    return redis.Redis(unix_socket_path=str(folder / "redis.sock"), retry=Retry(NoBackoff(), 0))


def server_id(folder):
    """The process id of the server of ``folder``, if it runs."""
    with client(folder) as link:
        try:
            return link.info("server")["process_id"]
        except redis.ConnectionError:
            return None


def keepers(folder):
    """The process ids of the keepers of ``folder``."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:  # it has ended meanwhile
            continue
        if os.fsencode(folder) in words and any(b"keeper" in word for word in words):
            found.append(int(path.parent.name))
    return found


# Starting -------------------------------------------------------------------------------------


def test_nothing_happens_before_the_first_use(server, folder):
    assert not folder.exists()
    server.leave()
    assert not folder.exists()


def test_the_first_use_starts_a_server_that_keeps_nothing_on_disk(server, folder):
    server.ensure()
    with client(folder) as link:
        assert link.config_get("save") == {"save": ""}
        assert link.config_get("appendonly") == {"appendonly": "no"}
        assert link.config_get("port") == {"port": "0"}
    assert folder.stat().st_mode & 0o777 == 0o700


def test_the_next_use_finds_it(server, folder, user):
    server.ensure()
    first = server_id(folder)
    server.ensure()
    user()
    LocalServer(folder, linger=0.1).ensure()
    assert server_id(folder) == first
    assert len(keepers(folder)) == 1


def test_processes_that_start_at_the_same_time_start_one_server(folder, user):
    started = [user(wait=False) for _ in range(6)]
    for process in started:
        process.wait_for_line("^uses it")
    assert server_id(folder)
    assert len(keepers(folder)) == 1
    assert len(servers_in(folder)) == 1


def servers_in(folder):
    """The ids of all processes whose current folder is ``folder``, less the keepers."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(path / "cwd") == str(folder):
                found.append(int(path.name))
        except OSError:
            continue
    return sorted(set(found) - set(keepers(folder)))


# Ending ---------------------------------------------------------------------------------------


def test_it_ends_with_its_last_user(folder, user):
    first, second = user(), user()
    running = server_id(folder)
    first.terminate()
    with pytest.raises(AssertionError, match="not within"):  # a few times its linger
        wait_until(lambda: server_id(folder) != running, timeout=0.5)
    second.terminate()
    wait_until(lambda: server_id(folder) is None)
    wait_until(lambda: not servers_in(folder))
    wait_until(lambda: not keepers(folder))


def test_it_ends_when_its_last_user_is_killed(folder, user):
    user().kill()
    wait_until(lambda: server_id(folder) is None)
    wait_until(lambda: not keepers(folder))


def test_it_ends_when_this_process_leaves(server, folder):
    server.ensure()
    server.leave()
    server.leave()
    wait_until(lambda: server_id(folder) is None)


def test_it_ends_when_nothing_refers_to_it_any_more(folder):
    LocalServer(folder, linger=0.1).ensure()
    gc.collect()
    wait_until(lambda: server_id(folder) is None)


def test_it_goes_on_for_a_while_for_those_that_come_again(folder, user):
    first = user(linger=30)
    with client(folder) as link:
        link.set("message", "kept")
    first.kill()
    user(linger=30)
    with client(folder) as link:
        assert link.get("message") == b"kept"
    for keeper in keepers(folder):  # 30 s is more than the test has
        os.kill(keeper, signal.SIGKILL)
    wait_until(lambda: not keepers(folder))
    user(linger=0.1)  # brings another keeper


def test_who_comes_after_it_has_ended_starts_another(server, folder):
    server.ensure()
    first = server_id(folder)
    server.leave()
    wait_until(lambda: server_id(folder) is None)
    server.ensure()
    assert server_id(folder) not in (None, first)


def test_processes_that_come_and_go_always_find_a_server(folder):
    server = LocalServer(folder, linger=0.001)
    for _ in range(20):  # each comes while the server may be ending
        server.ensure()
        assert server_id(folder)
        server.leave()


def test_the_child_of_a_user_is_a_user(folder, user):
    process = user("fork")
    child = int(process.wait_for_line(r"^uses it: (\d+)")[1])
    assert process.wait() == 0
    with pytest.raises(AssertionError, match="not within"):
        wait_until(lambda: server_id(folder) is None, timeout=0.5)
    os.kill(child, signal.SIGKILL)
    wait_until(lambda: server_id(folder) is None)


# Crashes --------------------------------------------------------------------------------------


def test_a_server_that_was_killed_is_started_again(server, folder):
    server.ensure()
    first = server_id(folder)
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: server_id(folder) is None)
    assert server.socket.exists()  # what it left is in nobody's way
    server.ensure()
    assert server_id(folder) not in (None, first)
    assert len(keepers(folder)) == 1


def test_a_keeper_that_was_killed_is_replaced_and_the_server_stays(server, folder, user):
    server.ensure()
    running = server_id(folder)
    [keeper] = keepers(folder)
    os.kill(keeper, signal.SIGKILL)
    wait_until(lambda: not keepers(folder))
    user()
    assert server_id(folder) == running
    assert len(keepers(folder)) == 1


def test_a_keeper_lets_go_of_its_own_lock_before_that_of_the_users(folder, monkeypatch):
    """Else who has waited for the latter starts a server that nobody keeps."""
    folder.mkdir()
    monkeypatch.setattr(os, "fork", lambda: 0)
    monkeypatch.setattr(os, "setsid", lambda: None)
    really_open, opened = os.open, []

    def noted(*arguments):
        opened.append(really_open(*arguments))
        return opened[-1]

    monkeypatch.setattr(os, "open", noted)
    local_keeper.main(str(folder), "0.01")
    monkeypatch.undo()
    with (folder / "keeper").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    users = os.open(folder, os.O_RDONLY)
    with pytest.raises(BlockingIOError):
        fcntl.flock(users, fcntl.LOCK_SH | fcntl.LOCK_NB)
    for descriptor in (users, *opened):
        os.close(descriptor)


def test_a_starter_that_is_killed_blocks_nobody(server, folder, user, tmp_path, program):
    program(
        "redis-server", "if [ $1 = --version ]; then echo v=7.0; else touch $0-began; sleep 60; fi"
    )
    process = user(wait=False, env={"PATH": f"{tmp_path}/bin:{os.environ['PATH']}"})
    wait_until((tmp_path / "bin/redis-server-began").exists)
    process.kill()
    server.ensure()
    assert server_id(folder)


def test_a_folder_that_was_removed_is_made_again(server, folder, user):
    server.ensure()
    old = server_id(folder)
    shutil.rmtree(folder)
    server.ensure()
    new = server_id(folder)
    assert new not in (None, old)
    wait_until(
        lambda: len(keepers(folder)) == 1
    )  # the one of the old folder goes, and harms nobody
    assert server_id(folder) == new
    os.kill(old, signal.SIGKILL)


# The folder -----------------------------------------------------------------------------------


def test_a_folder_that_others_can_use_is_refused(folder):
    folder.mkdir(mode=0o755)
    with pytest.raises(LayerUnavailable, match="can be used by others: chmod 700"):
        LocalServer(folder, linger=1).ensure()


def test_a_folder_of_another_user_is_refused(folder, monkeypatch):
    folder.mkdir(mode=0o700)
    monkeypatch.setattr(os, "getuid", lambda: folder.stat().st_uid + 1)
    with pytest.raises(LayerUnavailable, match="belongs to another user"):
        make_private(folder)


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_is_no_folder_is_refused(folder, tmp_path, kind):
    folder.touch() if kind == "file" else folder.symlink_to(tmp_path)
    with pytest.raises(LayerUnavailable, match="is in the way: it must be a folder"):
        LocalServer(folder, linger=1).ensure()


def test_a_folder_that_cannot_be_made_is_the_reason(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(LayerUnavailable, match="cannot be used: .*Not a directory"):
        LocalServer(tmp_path / "file" / "server", linger=1).ensure()


# The program ----------------------------------------------------------------------------------


@pytest.fixture
def program(tmp_path, monkeypatch):
    """``program(name, script)`` makes a command that is found before any other."""
    folder = tmp_path / "bin"
    folder.mkdir()

    def make(name, script):
        path = folder / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    return make


@pytest.fixture
def nothing_installed(tmp_path, monkeypatch):
    """Only what the test makes is found."""
    monkeypatch.setenv("PATH", f"{tmp_path}/bin")
    monkeypatch.setattr(local_server, "PACKAGES", ("bundling_package",))


@pytest.mark.usefixtures("nothing_installed")
def test_without_a_program_it_says_what_to_install():
    with pytest.raises(LayerUnavailable) as raised:
        find_program()
    assert "apt-get install redis-server" in str(raised.value)
    assert "pip install 'channels-classic[local]'" in str(raised.value)


@pytest.mark.parametrize("name", ["redis-server", "valkey-server"])
@pytest.mark.usefixtures("nothing_installed")
def test_the_program_of_the_system_is_taken(program, name):
    path = program(name, "echo Some server v=6.2.14 sha=1")
    assert find_program() == str(path)


@pytest.mark.usefixtures("nothing_installed")
def test_a_program_that_is_too_old_is_passed_over(program):
    program("redis-server", "echo Redis server v=6.0.16 sha=1")
    with pytest.raises(LayerUnavailable, match=r"redis-server is version 6\.0\. A private Redis"):
        find_program()
    path = program("valkey-server", "echo Valkey server v=9.1.2 sha=1")
    assert find_program() == str(path)


@pytest.mark.parametrize("script", ["echo what", "exit 1"])
@pytest.mark.usefixtures("nothing_installed")
def test_a_program_that_does_not_say_its_version_is_passed_over(program, script):
    program("redis-server", script)
    with pytest.raises(LayerUnavailable, match="redis-server is version unknown"):
        find_program()


@pytest.mark.usefixtures("nothing_installed")
def test_a_package_may_bundle_the_program(tmp_path, monkeypatch, program):
    inside = tmp_path / "bundling_package" / "_binaries" / "linux"
    inside.mkdir(parents=True)
    (tmp_path / "bundling_package" / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    path = program("valkey-server", "echo v=9.1.2").rename(inside / "valkey-server")
    assert find_program() == str(path)


def test_a_program_that_fails_says_why(folder, program, monkeypatch, tmp_path):
    program("redis-server", "[ $1 = --version ] && echo v=7.0 || { echo no room >&2; exit 3; }")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    with pytest.raises(LayerUnavailable, match="ends with status 3 and says: no room"):
        LocalServer(folder, linger=0.1).ensure()


@pytest.mark.parametrize(
    ("script", "said"),
    [(":", "it says nothing"), ("echo 'bind: no' > redis.log", "bind: no")],
)
def test_a_program_that_never_answers_is_given_up(
    folder, program, monkeypatch, tmp_path, script, said
):
    program("redis-server", f"[ $1 = --version ] && echo v=7.0 || {script}")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    monkeypatch.setattr(local_server, "WAITING", 3)
    with pytest.raises(LayerUnavailable, match=f"redis-server does not start: {said}"):
        LocalServer(folder, linger=0.1).ensure()
