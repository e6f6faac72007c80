"""The local layer: Redis for the processes of one machine, with nothing to set up."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import pytest

from channels_classic.asgi import is_local_only
from channels_classic.exceptions import LayerUnavailable
from channels_classic.layers import local
from channels_classic.layers.local import LocalChannelLayer
from channels_classic.layers.private import server as local_server
from channels_classic.test.conformance import ConformanceTestCase
from tests.acceptance.processes import Process, wait_until
from tests.layers.private.test_server import server_id

ROOT = Path(__file__).parents[2]

#: A process that answers each message on "questions" until it gets one without a number.
ANSWERS = """
import sys
from channels_classic.layers.local import LocalChannelLayer
layer = LocalChannelLayer(folder=sys.argv[1], linger=0.1)
print("ready", flush=True)
while True:
    channel, content = layer.receive(["questions"], block=True)
    if content is not None:
        if "number" not in content:
            break
        layer.send("answers", {"number": content["number"] + 1})
"""


def new_folder():
    return Path(tempfile.mkdtemp(prefix="cc-"))


def remove(folder):
    """Once the server of ``folder`` has ended, as nobody uses it any more."""
    gc.collect()
    wait_until(lambda: server_id(folder) is None, message="the server to end")
    shutil.rmtree(folder)


@pytest.fixture
def folder():
    made = new_folder()
    yield made
    remove(made)


@pytest.fixture
def layer(folder):
    made = LocalChannelLayer(folder=folder, linger=0.1)
    yield made
    made.close()


class TestConformance(ConformanceTestCase):
    """It is the Redis layer, but for the way to its server."""

    capacity_limit = 5
    expiry_delay = 0.45
    folder: Path

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.folder = new_folder()
        cls.addClassCleanup(remove, cls.folder)

    def setUp(self) -> None:
        waits = "expir" in self._testMethodName
        lives = {"expiry": 0.4, "group_expiry": 0.5} if waits else {}
        layer = LocalChannelLayer(folder=self.folder, linger=1, capacity=5, **lives)
        self.channel_layer = layer
        self.addCleanup(layer.close)
        super().setUp()


# Between processes --------------------------------------------------------------------------


def test_two_processes_exchange_messages(folder, layer, tmp_path):
    command = [sys.executable, "-c", ANSWERS, folder]
    with Process(command, log=tmp_path / "answers.log", cwd=ROOT) as process:
        for number in range(3):
            layer.send("questions", {"number": number})
            _, content = layer.receive(["answers"], block=True)
            assert content == {"number": number + 1}
        layer.send("questions", {})
        assert process.wait() == 0


def test_workers_of_other_processes_can_use_it():
    assert not is_local_only(LocalChannelLayer)


def test_nothing_starts_before_the_first_call(folder):
    folder.rmdir()
    layer = LocalChannelLayer(folder=folder)
    assert str(layer) == f"LocalChannelLayer(unix://{folder}/redis.sock)"
    layer.close()
    assert not folder.exists()
    folder.mkdir()


def test_a_server_that_was_killed_is_started_by_the_next_call(folder, layer):
    layer.send("channel", {"number": 1})
    os.kill(server_id(folder), signal.SIGKILL)
    wait_until(lambda: server_id(folder) is None)
    layer.send("channel", {"number": 2})
    assert layer.receive(["channel"]) == ("channel", {"number": 2})


def test_an_event_loop_starts_it_too(folder, layer):
    async def exchange():
        await layer.send_async("channel", {"number": 1})
        received = await layer.receive_async(["channel"])
        os.kill(server_id(folder), signal.SIGKILL)
        await asyncio.to_thread(wait_until, lambda: server_id(folder) is None)
        with contextlib.suppress(LayerUnavailable):  # a loop notices the death by its next call
            await layer.send_async("channel", {"number": 2})
        await layer.send_async("channel", {"number": 3})
        again = await layer.receive_async(["channel"])
        await layer.close_async()
        return received, again

    received, again = asyncio.run(exchange())
    assert received == ("channel", {"number": 1})
    assert again in [("channel", {"number": 2}), ("channel", {"number": 3})]


def test_a_closed_layer_uses_the_server_again_with_the_next_call(folder, layer):
    layer.send("channel", {"number": 1})
    layer.close()
    wait_until(lambda: server_id(folder) is None)
    layer.send("channel", {"number": 2})
    assert layer.receive(["channel"]) == ("channel", {"number": 2})


def test_without_a_server_program_each_call_says_what_to_install(layer, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(local_server, "PACKAGES", ())
    with pytest.raises(LayerUnavailable, match=r"pip install 'channels-classic\[local\]'"):
        layer.send("channel", {})
    with pytest.raises(LayerUnavailable, match=r"pip install 'channels-classic\[local\]'"):
        asyncio.run(layer.send_async("channel", {}))


# Which processes share a server -----------------------------------------------------------------


@pytest.fixture
def runtime(monkeypatch, folder):
    """The folder for what runs, as a session of a desktop or a login has one."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    return folder


def folder_of(**options):
    return LocalChannelLayer(**options).server.folder


def test_each_project_has_a_server_of_its_own(runtime, settings):
    settings.BASE_DIR = "/srv/shop"
    shop = folder_of()
    assert folder_of() == shop
    settings.BASE_DIR = Path("/home/me/shop")
    assert folder_of() != shop
    assert shop.parent == runtime
    assert shop.name.startswith("channels-classic-shop-")


@pytest.mark.usefixtures("runtime")
def test_without_a_base_dir_it_is_the_current_folder(settings, monkeypatch, tmp_path):
    del settings.BASE_DIR
    (tmp_path / "my site!").mkdir()
    monkeypatch.chdir(tmp_path / "my site!")
    assert folder_of().name.startswith("channels-classic-my-site-")


def test_without_django_settings_it_is_the_current_folder(tmp_path):
    code = (
        "from channels_classic.layers.local import LocalChannelLayer; "
        "print('folder', LocalChannelLayer().server.folder)"
    )
    with Process(
        [sys.executable, "-c", code],
        log=tmp_path / "log",
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "XDG_RUNTIME_DIR": ""},
    ) as process:
        assert process.wait() == 0
    start = f"folder {tempfile.gettempdir()}/channels-classic-{os.getuid()}-"
    assert process.output().startswith(start + tmp_path.name[:16].strip("-").replace("_", "-"))


def test_a_name_may_be_shared(runtime, settings):
    settings.BASE_DIR = "/srv/shop"
    shop = folder_of(name="both")
    settings.BASE_DIR = "/srv/office"
    assert folder_of(name="both") == shop == runtime / "channels-classic-both"


def test_without_a_runtime_folder_it_is_a_temporary_one_of_the_user(monkeypatch):
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    expected = Path(tempfile.gettempdir(), f"channels-classic-{os.getuid()}-shop")
    assert folder_of(name="shop") == expected


@pytest.mark.parametrize("value", ["relative", "/nowhere/at/all"])
def test_a_runtime_folder_that_is_none_is_not_used(monkeypatch, value):
    monkeypatch.setenv("XDG_RUNTIME_DIR", value)
    assert folder_of(name="shop").parent == Path(tempfile.gettempdir())


def test_the_runtime_folder_of_another_user_is_not_used(runtime, monkeypatch):
    other = os.getuid() + 1
    monkeypatch.setattr(local.os, "getuid", lambda: other)
    expected = Path(tempfile.gettempdir(), f"channels-classic-{other}-shop")
    assert folder_of(name="shop") == expected


# Options ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"name": ""}, "name must be up to 40 letters, digits"),
        ({"name": "../shop"}, "name must be up to 40 letters, digits"),
        ({"name": "x" * 41}, "name must be up to 40 letters, digits"),
        ({"name": 5}, "name must be up to 40 letters, digits"),
        ({"name": "shop", "folder": "/srv"}, "give one of the two"),
        ({"folder": "/srv/" + "x" * 100}, "too long for the path of a UNIX socket"),
        ({"linger": 0}, "linger must be a number above 0"),
        ({"hosts": [("localhost", 6379)]}, "hosts is for RedisChannelLayer"),
        ({"capacity": 0}, "capacity must be a number above 0"),
    ],
)
def test_an_option_that_cannot_be_used_is_refused(options, reason):
    with pytest.raises(ValueError, match=reason):
        LocalChannelLayer(**options)


def test_a_folder_may_have_any_name(folder):
    odd = folder / "a folder: 50% of what? & more#"
    layer = LocalChannelLayer(folder=odd, linger=0.1)
    layer.send("channel", {})
    layer.close()
    wait_until(lambda: server_id(odd) is None)


def test_the_options_of_the_redis_layer_are_its_own_too(folder):
    secret = LocalChannelLayer(folder=folder, linger=0.1, symmetric_encryption_keys=["a"])
    secret.send("channel", {"number": 1})
    assert LocalChannelLayer(folder=folder).receive(["channel"]) == (None, None)
    secret.close()
