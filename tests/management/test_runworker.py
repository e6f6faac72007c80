"""``manage.py runworker``: its options, what it says, how it ends."""

from __future__ import annotations

import logging
import signal
import time

import pytest
from django.core.management import CommandError, call_command
from django.core.management.commands.runserver import Command as DjangoRunserver

from channels_classic.asgi import channel_layers
from channels_classic.management.commands import runworker
from channels_classic.routing import null_consumer, route
from channels_classic.signals import worker_process_ready, worker_ready
from channels_classic.staticfiles import StaticFilesConsumer
from channels_classic.worker import WorkerGroup
from tests.management.project import WATCHFUL

REDIS = "channels_classic.layers.redis.RedisChannelLayer"
MEMORY = "channels_classic.layers.memory.InMemoryChannelLayer"
ALWAYS = ["http.request", "websocket.connect", "websocket.disconnect", "websocket.receive"]

routes = [route("work", null_consumer), route("play", null_consumer)]


@pytest.fixture(autouse=True)
def _site(settings, monkeypatch):
    """A layer that workers can share; the loggers of the test run are left alone."""
    entry = {"BACKEND": REDIS, "ROUTING": routes, "CONFIG": {"hosts": ["redis://127.0.0.1:1"]}}
    settings.CHANNEL_LAYERS = {"default": entry, "other": {**entry, "ROUTING": []}}
    monkeypatch.setattr(runworker, "setup_logger", lambda *arguments: None)


@pytest.fixture
def ran(monkeypatch):
    """The workers that would have been run."""
    workers = []

    def keep(worker):
        workers.append(worker)
        worker.on_announced()

    monkeypatch.setattr(WorkerGroup, "run", keep)
    return workers


def run(*arguments, **options):
    call_command("runworker", *arguments, **options)


def worker_of(ran, *arguments, **options):
    run(*arguments, **options)
    [worker] = ran
    return worker


# Options ----------------------------------------------------------------------------------------


def test_the_worker_reads_the_default_layer(ran):
    assert worker_of(ran).channel_layer is channel_layers["default"]


def test_the_worker_reads_another_layer(ran):
    assert worker_of(ran, "--layer", "other").channel_layer is channel_layers["other"]


def test_the_worker_reads_the_routed_channels_and_those_every_site_has(ran):
    assert worker_of(ran).channels() == sorted([*ALWAYS, "work", "play"])


@pytest.mark.parametrize(
    ("arguments", "channels"),
    [
        (["--only-channels", "work"], ["work"]),
        (["--only-channels", "w*"], [*ALWAYS[1:], "work"]),
        (["--only-channels", "work", "--only-channels", "play"], ["play", "work"]),
        (["--exclude-channels", "*.*"], ["play", "work"]),
        (["--exclude-channels", "*.*", "--exclude-channels", "work"], ["play"]),
        (["--only-channels", "w*", "--exclude-channels", "websocket.*"], ["work"]),
    ],
)
def test_globs_choose_among_the_channels(ran, arguments, channels):
    assert worker_of(ran, *arguments).channels() == channels


@pytest.mark.parametrize(("arguments", "count"), [([], 1), (["--threads", "3"], 3)])
def test_a_worker_has_as_many_threads_as_it_is_told(ran, arguments, count):
    assert 1 + len(worker_of(ran, *arguments).workers) == count


def test_static_files_are_served_in_development(ran, settings):
    settings.DEBUG = True
    worker = worker_of(ran)
    [consumer] = consumers_of(worker, "http.request")
    assert isinstance(consumer, StaticFilesConsumer)


@pytest.mark.parametrize(("debug", "installed"), [(False, True), (True, False)])
def test_else_they_are_not(ran, settings, monkeypatch, debug, installed):
    settings.DEBUG = debug
    monkeypatch.setattr(runworker.apps, "is_installed", lambda name: installed)
    [consumer] = consumers_of(worker_of(ran), "http.request")
    assert not isinstance(consumer, StaticFilesConsumer)


def consumers_of(worker, channel):
    entries = worker.channel_layer.router.root.routing
    return [entry.consumer for entry in entries if channel in entry.channel_names()]


def test_the_signals_of_the_process_and_of_each_thread_are_sent_in_this_order(ran):
    order = []

    def process_ready(sender, **kwargs):
        order.append(("process", sender))

    def ready(sender, **kwargs):
        order.append(("thread", sender))

    worker_process_ready.connect(process_ready)
    worker_ready.connect(ready)
    try:
        worker = worker_of(ran, "--threads", "2")
    finally:
        worker_process_ready.disconnect(process_ready)
        worker_ready.disconnect(ready)
    assert order == [("process", worker), ("thread", worker), ("thread", worker.workers[0])]


def test_with_verbosity_2_each_message_is_logged(ran, caplog):
    worker = worker_of(ran, verbosity=2)
    caplog.clear()
    with caplog.at_level(logging.DEBUG, "channels_classic.worker"):
        worker.callback("work", {"path": "/page"})
    assert caplog.messages == ["work /page"]


def test_else_they_are_not_logged(ran):
    assert worker_of(ran).callback is None


# What it says -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("ran")
def test_the_start_says_layer_threads_and_channels(caplog):
    with caplog.at_level(logging.INFO, "channels_classic.worker"):
        run("--threads", "2", "--exclude-channels", "*.*")
    assert caplog.messages == [
        f"Worker on layer default ({REDIS}), 2 thread(s)",
        "Channels: play, work",
    ]


@pytest.mark.parametrize(
    "text",
    [
        *("--layer", "--only-channels", "--exclude-channels", "--threads", "--reload"),
        "finishes the message in hand",
        "such as 'http.*'",
    ],
)
def test_the_help_explains(capsys, text):
    with pytest.raises(SystemExit) as ended:
        run("--help")
    assert ended.value.code == 0
    assert text in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--layer", "nope"], "CHANNEL_LAYERS has no layer 'nope'; it has: default, other"),
        (["--threads", "0"], "--threads must be at least 1, not 0"),
        (["--threads", "-1"], "--threads must be at least 1, not -1"),
        (
            ["--only-channels", "nope"],
            (
                "no channel is left to read: the routing has http.request, play, "
                "websocket.connect, websocket.disconnect, websocket.receive, work"
            ),
        ),
        (["--threads", "two"], "invalid int value: 'two'"),
        (["--thread"], "expected one argument"),
        (["--nope"], "unrecognized arguments: --nope"),
    ],
)
def test_options_that_make_no_sense_are_refused_with_the_reason(ran, arguments, reason):
    with pytest.raises(CommandError) as raised:
        run(*arguments)
    assert reason in str(raised.value)
    assert ran == []


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        (
            {"BACKEND": MEMORY, "CONFIG": {}},
            (
                f"the layer 'default' ({MEMORY}) cannot be shared between processes: use {REDIS}, "
                "channels_classic.layers.local.LocalChannelLayer on one machine, or runserver, "
                "which has its own workers"
            ),
        ),
        ({"BACKEND": "no.such.Layer"}, "cannot import the BACKEND 'no.such.Layer'"),
        ({"BACKEND": None}, "has no BACKEND"),
        ({"CONFIG": {"capasity": 5}}, "did you mean 'capacity'?"),
        ({"ROUTING": "no.such.routes"}, "cannot import the routing 'no.such.routes'"),
        ({"ROUTING": [5]}, "5 is not a route"),
    ],
)
def test_a_layer_that_is_not_usable_is_refused_with_the_reason(ran, settings, setting, reason):
    entry = {**settings.CHANNEL_LAYERS["default"], **setting}
    settings.CHANNEL_LAYERS = {"default": entry}
    with pytest.raises(CommandError) as raised:
        run()
    assert reason in str(raised.value)
    assert ran == []


@pytest.mark.parametrize(
    ("layers", "reason"),
    [
        ({}, "CHANNEL_LAYERS has no layer 'default'; it has: none"),
        ([], "CHANNEL_LAYERS has no layer 'default'; it has: none"),
        ([1], "CHANNEL_LAYERS must be a dict"),
        ({"default": 5}, "CHANNEL_LAYERS['default'] must be a dict"),
    ],
)
def test_a_setting_that_is_not_usable_is_refused_with_the_reason(settings, layers, reason):
    settings.CHANNEL_LAYERS = layers
    with pytest.raises(CommandError) as raised:
        run()
    assert reason in str(raised.value)


def test_the_system_checks_are_done(ran, monkeypatch):
    checked = []
    monkeypatch.setattr(runworker.Command, "check", lambda self: checked.append(True))
    run(skip_checks=False)
    assert checked == [True]


@pytest.mark.parametrize("options", [{"layer": "nope"}, {"threads": 0}])
def test_bad_options_do_not_start_the_reloader(options, monkeypatch):
    monkeypatch.setattr(runworker.autoreload, "run_with_reloader", DjangoRunserver)
    with pytest.raises(CommandError):
        run(reload=True, **options)


# As a process -----------------------------------------------------------------------------------


def received(layer, channel="report", timeout=10):
    """The next message on ``channel``."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        _, content = layer.receive([channel], block=True)
        if content is not None:
            return content
    raise AssertionError(f"nothing came on {channel}")


def test_a_worker_says_what_it_does_works_and_ends_well(project, shared):
    with project.manage("runworker", "--threads", "2", "--exclude-channels", "http.*") as process:
        process.wait_for_line(rf"INFO Worker on layer default \({REDIS}\), 2 thread\(s\)$")
        process.wait_for_line(
            "INFO Channels: slow, websocket.connect, websocket.disconnect, websocket.receive, work$"
        )
        shared.send("work", {"number": 1})
        assert received(shared) == {"answer": "first", "number": 1}
        assert process.terminate() == 0
    assert "Traceback" not in process.output()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_finishes_the_message_in_hand(project, shared, number):
    shared.send("slow", {})
    with project.manage("runworker") as process:
        assert received(shared) == {"slow": "began"}
        shared.send("work", {})
        process.send_signal(number)
        assert process.wait() == 0
    assert received(shared) == {"slow": "finished"}
    assert shared.channel_statistics("work")["messages_pending"] == 1


def test_the_second_signal_stops_at_once(project, shared):
    shared.send("slow", {})
    with project.manage("runworker") as process:
        assert received(shared) == {"slow": "began"}
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=5) in (128 + signal.SIGTERM, 128 + signal.SIGINT)
    assert shared.receive(["report"]) == (None, None)


def test_a_worker_reloads_when_the_code_changes_also_after_a_mistake(project, shared):
    project.add_settings(WATCHFUL)
    with project.manage("runworker", "--reload") as process:
        process.wait_for_line("site_consumers.py first seen")
        shared.send("work", {})
        assert received(shared) == {"answer": "first"}
        consumers = (project.folder / "site_consumers.py").read_text()
        project.write("site_consumers.py", consumers + "\nthis is a mistake\n")
        process.wait_for_line(r"(?s)SyntaxError: invalid syntax.*site_consumers.py first seen")
        project.write("site_consumers.py", consumers.replace('"first"', '"second"'))
        shared.send("work", {})
        assert received(shared) == {"answer": "second"}


def test_an_error_is_one_line_and_a_status(project):
    with project.manage("runworker") as process:
        assert process.wait() == 1
    assert process.output().startswith("CommandError: the layer 'default'")
    assert process.output().count("\n") == 1
