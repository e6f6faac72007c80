"""ChannelLiveServerTestCase: real processes on a real Redis, and a real WebSocket client."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import unittest
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from channels_classic.asgi import channel_layers
from channels_classic.exceptions import InvalidChannelLayerError
from channels_classic.layers.names import random_letters
from channels_classic.test import ChannelLiveServerTestCase
from channels_classic.test.liveserver import live_layer
from channels_classic.test.processes import LiveProcess, overridden_settings
from tests.management.project import Project

REDIS = "channels_classic.layers.redis.RedisChannelLayer"
MEMORY = "channels_classic.layers.memory.InMemoryChannelLayer"

SETTINGS = """
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "channels_classic",
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": "site.sqlite3",
        "TEST": {"NAME": "test.sqlite3"},
    },
}
GREETING = "as the settings say"
CHANNEL_LAYERS["default"]["BACKEND"] = "channels_classic.layers.redis.RedisChannelLayer"
CHANNEL_LAYERS["default"]["CONFIG"] = {"hosts": ["redis://127.0.0.1:1/0"]}  # nobody is there
"""

URLS = """
from django.conf import settings
from django.contrib.auth import get_user_model
from django.http import HttpResponse
from django.urls import path


def page(request):
    names = ", ".join(get_user_model().objects.values_list("username", flat=True))
    return HttpResponse(f"{settings.GREETING}: {names}")


urlpatterns = [path("", page)]
"""

CONSUMERS = """
from channels_classic import Group
from channels_classic.auth import channel_session_user, channel_session_user_from_http


@channel_session_user_from_http
def connect(message):
    message.reply_channel.send({"accept": True})
    Group("all").add(message.reply_channel)


@channel_session_user
def echo(message):
    message.reply_channel.send({"text": f"{message.user.username}: {message['text']}"})


def fail(message):
    raise LookupError("a mistake in the consumer")
"""

ROUTING = """
from channels_classic import route

import site_consumers

routes = [
    route("websocket.connect", site_consumers.connect),
    route("websocket.receive", site_consumers.echo, path="^/echo/$"),
    route("websocket.receive", site_consumers.fail, path="^/fail/$"),
]
"""

TESTS = """
import os
import pathlib
import signal
import time
import urllib.request

from django.contrib.auth import get_user_model
from django.test import override_settings
from websockets.sync.client import connect

from channels_classic import Group
from channels_classic.test import ChannelLiveServerTestCase, WSClient
from channels_classic.test.liveserver import LiveServerProcess, LiveWorkerProcess


def get(url):
    with urllib.request.urlopen(url, timeout=30) as response:
        return response.read().decode()


class SiteTests(ChannelLiveServerTestCase):
    def setUp(self):  # and no super().setUp(), as with Channels 1
        get_user_model().objects.create_user("ada")

    def test_socket_of_a_user(self):
        client = WSClient()
        client.force_login(get_user_model().objects.get())
        headers = {"Cookie": client.headers["cookie"].decode()}
        with connect(self.live_server_ws_url + "/echo/", additional_headers=headers) as socket:
            socket.send("hello")
            self.assertEqual(socket.recv(timeout=30), "ada: hello")
            Group("all").send({"text": "hello all"})  # from the test itself
            self.assertEqual(socket.recv(timeout=30), "hello all")

    def test_pages(self):
        self.assertEqual(get(self.live_server_url), "as the settings say: ada")
        self.assertEqual(get(self.live_server_url + "/static/hello.txt"), "a static file")

    def test_consumer_that_fails(self):
        with connect(self.live_server_ws_url + "/fail/") as fails:
            fails.send("hello")
            with connect(self.live_server_ws_url + "/echo/") as socket:
                socket.send("hello")
                self.assertEqual(socket.recv(timeout=30), ": hello")


@override_settings(GREETING="as the test says")
class OverriddenTests(ChannelLiveServerTestCase):
    host = "127.0.0.1"
    worker_threads = 3
    serve_static = False

    def test_attributes_and_settings_of_the_class(self):
        self.assertEqual(get(self.live_server_url), "as the test says: ")
        self.assertRegex(self.live_server_url, r"^http://127[.]0[.]0[.]1:[0-9]+$")
        self.assertRegex(self.live_server_ws_url, r"^ws://127[.]0[.]0[.]1:[0-9]+$")
        with self.assertRaisesRegex(OSError, "404"):
            get(self.live_server_url + "/static/hello.txt")


def note_pids(name):
    here = [pathlib.Path(f"/proc/{each}/cmdline") for each in os.listdir("/proc") if each.isdigit()]
    ours = [each.parent.name for each in here if is_child(each)]
    pathlib.Path(f"pids-{name}").write_text(" ".join(ours))


def is_child(path):
    try:
        parent = (path.parent / "stat").read_text().rpartition(")")[2].split()[1]
        return int(parent) == os.getpid() and b"channels_classic.test.live" in path.read_bytes()
    except OSError:
        return False


class SetUpFailsTests(ChannelLiveServerTestCase):
    def setUp(self):
        note_pids("set-up")
        raise LookupError("a mistake in setUp")

    def test_set_up_fails(self):
        pass


class BrokenWorker(LiveWorkerProcess):
    target = "not_there.work"


class WorkerFailsTests(ChannelLiveServerTestCase):
    WorkerProcess = BrokenWorker

    def test_worker_fails(self):
        pass


class StuckServer(LiveServerProcess):
    target = "site_processes.never_ready"
    timeout = 0.1

    def wait(self):
        while not self.output():
            time.sleep(0.01)
        return super().wait()


class ServerIsStuckTests(ChannelLiveServerTestCase):
    ProtocolServerProcess = StuckServer

    def test_server_is_stuck(self):
        pass


class KilledTests(ChannelLiveServerTestCase):
    def test_killed(self):
        note_pids("killed")
        os.kill(os.getpid(), signal.SIGKILL)
"""

PROCESSES = """
import time


def never_ready(**options):
    print("busy with other things", flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory, redis_server):
    project = Project(tmp_path_factory.mktemp("live"))
    project.add_settings(SETTINGS)
    config = {"hosts": [redis_server.url], "prefix": f"{random_letters(8)}:"}
    project.add_settings(f'CHANNEL_LAYERS["default"]["TEST_CONFIG"] = {config!r}\n')
    project.write("site_urls.py", URLS)
    project.write("site_consumers.py", CONSUMERS)
    project.write("site_routing.py", ROUTING)
    project.write("site_processes.py", PROCESSES)
    project.write("test_live.py", TESTS)
    return project


def run_tests(project, *names):
    """``manage.py test`` with the tests of these names: what it says."""
    environment = {k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"}
    command = [sys.executable, "-W", "error", "manage.py", "test", "-v", "2", "--noinput", *names]
    done = subprocess.run(
        command,
        check=False,
        cwd=project.folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=110,
    )
    return done.stderr


@pytest.fixture(scope="module")
def said(project):
    """What is said of the tests that should pass."""
    return run_tests(project, "test_live.SiteTests", "test_live.OverriddenTests")


@pytest.mark.parametrize(
    "name",
    [
        "socket_of_a_user",
        "pages",
        "consumer_that_fails",
        "attributes_and_settings_of_the_class",
    ],
)
def test_a_live_test_passes(said, name):
    assert f"test_{name} (" in said, said
    assert "\nOK\n" in said, said


def test_the_log_of_the_processes_is_shown(said):
    assert "LiveWorkerProcess:\n" in said
    assert "LookupError: a mistake in the consumer" in said


@pytest.fixture(scope="module")
def failures(project):
    """What is said of the tests that should not even begin."""
    classes = ("SetUpFailsTests", "WorkerFailsTests", "ServerIsStuckTests")
    return run_tests(project, *(f"test_live.{name}" for name in classes))


def test_each_failure_is_an_error_of_its_test(failures):
    assert "Ran 3 tests" in failures, failures
    assert "FAILED (errors=3)" in failures, failures


def test_the_output_of_a_process_that_does_not_start_is_shown(failures):
    assert "RuntimeError: BrokenWorker has not started. Its output:" in failures
    assert "No module named 'not_there'" in failures


def test_a_process_that_is_not_ready_in_time_is_an_error_with_its_output(failures):
    assert "StuckServer is not ready after 0.1 s. Its output:\nbusy with other things" in failures


def is_alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def noted_pids(project, name):
    pids = (project.folder / f"pids-{name}").read_text().split()
    assert len(pids) == 2
    return pids


def test_the_processes_end_when_the_set_up_of_the_test_fails(project, failures):
    assert "LookupError: a mistake in setUp" in failures
    assert not [pid for pid in noted_pids(project, "set-up") if is_alive(pid)]


def test_the_processes_end_when_the_test_run_is_killed(project):
    run_tests(project, "test_live.KilledTests")
    pids = noted_pids(project, "killed")
    deadline = time.monotonic() + 10
    while any(map(is_alive, pids)):
        assert time.monotonic() < deadline, "the processes have outlived the test run"
        time.sleep(0.02)


# What cannot work -------------------------------------------------------------------------------


class Case(ChannelLiveServerTestCase):
    __test__ = False
    databases = frozenset()

    def test(self):
        raise AssertionError("not reached")


def test_a_database_in_memory_is_refused():
    result = unittest.TestResult()
    Case("test")(result)
    ((_, text),) = result.errors
    assert ImproperlyConfigured.__name__ in text
    assert "the test database 'default' is in memory" in text
    assert '"TEST": {"NAME"' in text


def settings_of(backend, *aliases, **entry):
    layer = {"BACKEND": backend, "ROUTING": [], **entry}
    return override_settings(CHANNEL_LAYERS=dict.fromkeys(("default", *aliases), layer))


def test_a_channel_layer_in_memory_is_refused():
    with (
        settings_of(MEMORY, TEST_CONFIG={}),
        pytest.raises(ImproperlyConfigured, match="is in memory.*use .*RedisChannelLayer"),
        live_layer(),
    ):
        pass


def test_more_than_one_channel_layer_is_refused():
    with (
        settings_of(REDIS, "second", TEST_CONFIG={}),
        pytest.raises(ImproperlyConfigured, match="one channel layer.* 'default', 'second'"),
        live_layer(),
    ):
        pass


def test_a_layer_without_test_config_is_refused():
    with (
        settings_of(REDIS, CONFIG={}),
        pytest.raises(InvalidChannelLayerError, match="has no TEST_CONFIG"),
        live_layer(),
    ):
        pass


def test_the_layer_with_its_test_config_is_flushed_and_used_in_the_test(redis_server):
    config = {"hosts": [redis_server.url], "prefix": f"{random_letters(8)}:"}
    with settings_of(REDIS, CONFIG={}, TEST_CONFIG=config):
        before = channel_layers["default"]
        with live_layer() as layer:
            layer.send("left-over", {})
            assert channel_layers["default"] is layer is not before
        assert channel_layers["default"] is before
        with live_layer() as layer:
            assert layer.receive(["left-over"]) == (None, None)


def test_the_processes_are_told_what_is_overridden_and_nothing_else():
    with override_settings(ROOT_URLCONF="tests.other_urls"):
        told = overridden_settings()
        assert "ROOT_URLCONF" in told
    assert not {"ROOT_URLCONF", "INSTALLED_APPS", "MIDDLEWARE", "SECRET_KEY"} & set(
        overridden_settings()
    )


def test_settings_without_a_module_are_handed_over():
    code = (
        "from django.conf import settings\n"
        "from channels_classic.test.processes import overridden_settings\n"
        "database = {'ENGINE': 'django.db.backends.sqlite3', 'NAME': 'db'}\n"
        "settings.configure(ROOT_URLCONF='urls', DATABASES={'default': database})\n"
        "print(sorted(overridden_settings()))"
    )
    command = [sys.executable, "-c", code]
    environment = {k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"}
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert said.stdout == "['DATABASES', 'ROOT_URLCONF']\n"


def test_an_overridden_setting_that_cannot_be_handed_over_is_refused():
    with (
        override_settings(ROOT_URLCONF=lambda: None),
        pytest.raises(ImproperlyConfigured, match="the setting ROOT_URLCONF is overridden"),
    ):
        overridden_settings()


def test_a_process_that_was_not_started_can_be_stopped():
    process = LiveProcess()
    process.stop()
    process.stop()
