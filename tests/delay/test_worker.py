"""The delay worker: as processes, with a database and a bus that come and go."""

from __future__ import annotations

import logging
import signal
import time

import pytest
from django.core.management import CommandError, call_command

from channels_classic.asgi import ChannelLayerWrapper
from channels_classic.delay.management.commands import rundelay
from channels_classic.delay.models import DelayedMessage
from channels_classic.delay.worker import Worker
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.layers.redis import RedisChannelLayer
from channels_classic.message import Message
from tests.acceptance.processes import wait_until
from tests.delay.project import DelayProject


def ask(number, *, delay=1, channel="report"):
    return {"channel": channel, "delay": delay, "content": {"number": number}}


def take(layer, count, timeout=20):
    """The numbers on ``report``, once there are ``count``."""
    numbers = []
    end = time.monotonic() + timeout
    while len(numbers) < count:
        assert time.monotonic() < end, f"only {len(numbers)} of {count} came"
        _, content = layer.receive(["report"], block=True)
        if content is not None:
            numbers.append(content["number"])
    return numbers


# What is a message for later -------------------------------------------------------------------


@pytest.fixture
def worker():
    """A worker that is not running."""
    return Worker(ChannelLayerWrapper(InMemoryChannelLayer(), "default", []))


def store(worker, content):
    worker._store(Message(content, "asgi.delay", worker.channel_layer))


@pytest.mark.django_db
@pytest.mark.parametrize("delay", [0, 1, 1.5, 10**9])
def test_a_message_is_stored(worker, delay):
    store(worker, ask(1, delay=delay))
    stored = DelayedMessage.objects.get()
    assert (stored.channel_name, stored.content) == ("report", {"number": 1})


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({}, "it has no channel and no delay and no content"),
        ({"channel": "report", "content": {}}, "it has no delay"),
        (ask(1, delay=-1), "the delay is a number of milliseconds, not -1"),
        (ask(1, delay="5"), "the delay is a number of milliseconds, not '5'"),
        (ask(1, delay=True), "the delay is a number of milliseconds, not True"),
        (ask(1, delay=None), "the delay is a number of milliseconds, not None"),
        (ask(1, delay=10**20), "is too long"),
        (ask(1, channel="no name"), "no name"),
        (ask(1, channel=5), "5"),
        ({**ask(1), "content": "text"}, "the content of a message is a dict"),
    ],
)
def test_a_bad_message_is_dropped_counted_and_logged(worker, caplog, bad, reason):
    store(worker, bad)
    assert not DelayedMessage.objects.exists()
    counts = worker.channel_layer.channel_statistics("asgi.delay")
    assert counts["failed_count"] == 1
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage().startswith("A message on asgi.delay is dropped: ")
    assert reason in record.getMessage()


@pytest.mark.django_db
def test_many_bad_messages_are_counted_and_logged_once(worker, caplog):
    for _ in range(50):
        store(worker, {})
    assert worker.channel_layer.channel_statistics("asgi.delay")["failed_count"] == 50
    assert len(caplog.records) == 1


@pytest.mark.parametrize("duration", [0, -1, None, "1"])
def test_a_duration_that_makes_no_sense_is_refused(worker, duration):
    with pytest.raises(ValueError, match="database_sleep_duration must be a number above 0"):
        Worker(worker.channel_layer, database_sleep_duration=duration)


# As processes -----------------------------------------------------------------------------------


def test_a_message_comes_when_it_is_due(project, redis_layer):
    with project.worker() as process:
        process.wait_for_line("Delay worker on layer default")
        began = time.monotonic()
        redis_layer.send("asgi.delay", ask(1, delay=1500))
        redis_layer.send("asgi.delay", ask(2, delay=300))
        assert take(redis_layer, 2) == [2, 1]
        assert time.monotonic() - began > 1.5
        wait_until(lambda: project.stored() == 0)
        assert process.terminate() == 0


def test_a_message_outlives_its_worker(project, redis_layer):
    with project.worker():
        redis_layer.send("asgi.delay", ask(1, delay=2000))
        wait_until(lambda: project.stored() == 1, 20)
    with project.worker():
        assert take(redis_layer, 1) == [1]


def test_bad_messages_do_not_end_it(project, redis_layer):
    for bad in ({}, ask(0, delay="soon"), ask(0, channel="no name")):
        redis_layer.send("asgi.delay", bad)
    project.store("no name", [{"number": 0}])
    with project.worker() as process:
        redis_layer.send("asgi.delay", ask(1))
        assert take(redis_layer, 1) == [1]
        wait_until(lambda: failed(redis_layer) == 4)
        assert process.terminate() == 0
    assert "Traceback" not in process.output()


def failed(layer):
    return layer.channel_statistics("asgi.delay")["failed_count"]


def test_workers_never_send_a_message_twice(project, redis_server, redis_layer):
    count = 300
    project.store("report", [{"number": number} for number in range(count)])
    layer = RedisChannelLayer(hosts=[redis_server.url], prefix=redis_layer.prefix)
    with project.worker(), project.worker(), project.worker():
        assert sorted(take(layer, count, 60)) == list(range(count))
        wait_until(lambda: project.stored() == 0)
    assert layer.receive(["report"]) == (None, None)
    layer.close()


def test_outages_of_the_database_cost_no_message(project, redis_layer):
    with project.worker() as process:
        with project.database_away():
            process.wait_for_line("ERROR Delayed messages are not sent: database is locked")
            redis_layer.send("asgi.delay", ask(1))
            process.wait_for_line(
                "ERROR What comes on asgi.delay is not stored: database is locked"
            )
        assert take(redis_layer, 1) == [1]
        process.wait_for_line("INFO The database answers again")
        assert process.terminate() == 0
    assert "Traceback" not in process.output()


def test_a_worker_that_stops_in_an_outage_leaves_its_message_on_the_bus(project, redis_layer):
    with project.worker() as process, project.database_away():
        redis_layer.send("asgi.delay", ask(1))
        process.wait_for_line("ERROR What comes on asgi.delay is not stored")
        assert process.terminate() == 0
    assert project.stored() == 0
    with project.worker():
        assert take(redis_layer, 1) == [1]


def test_a_worker_that_is_killed_in_an_outage_leaves_its_message_to_another(project, redis_layer):
    with project.worker() as second:
        second.wait_for_line("Delay worker")
        with project.database_away():
            first = project.worker().start()
            first.wait_for_line("Delayed messages are not sent")
            second.send_signal(signal.SIGSTOP)
            redis_layer.send("asgi.delay", ask(1))
            first.wait_for_line("ERROR What comes on asgi.delay is not stored")
            second.send_signal(signal.SIGCONT)
            first.kill()
        assert take(redis_layer, 1, 40) == [1]


def test_outages_of_the_bus_are_waited_for(tmp_path, own_redis):
    own_redis.start()
    project = DelayProject(tmp_path)
    project.use(own_redis.url, "asgi:")
    project.migrate()
    with project.worker() as process:
        process.wait_for_line("Delay worker")
        own_redis.stop()
        process.wait_for_line("ERROR This worker gets no messages")
        project.store("report", [{"number": 1}])
        process.wait_for_line("ERROR Delayed messages are not sent: Redis at")
        own_redis.start()
        layer = RedisChannelLayer(hosts=[own_redis.url])
        assert take(layer, 1) == [1]
        layer.close()
        assert process.terminate() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_soon(project, number):
    with project.worker("--sleep", "3600") as process:
        process.wait_for_line("Delay worker")
        process.send_signal(number)
        assert process.wait(10) == 0
    assert "Traceback" not in process.output()


# The command ------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _quiet_logging(monkeypatch):
    """The command sets up logging for its process; here it must leave the loggers alone."""
    monkeypatch.setattr(rundelay, "setup_logger", lambda *arguments: None)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "cannot be shared between processes: use channels_classic.layers.redis"),
        (["--layer", "nope"], "CHANNEL_LAYERS has no layer 'nope'; it has: 'default'"),
        (["--sleep", "soon"], "invalid float value: 'soon'"),
    ],
)
def test_what_cannot_work_is_refused_with_the_reason(arguments, reason):
    with pytest.raises(CommandError, match=reason):
        call_command("rundelay", *arguments)


@pytest.mark.parametrize("sleep", ["0", "-1", "nan"])
def test_a_sleep_that_makes_no_sense_is_refused(settings, redis_server, sleep):
    settings.CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_classic.layers.redis.RedisChannelLayer",
            "ROUTING": [],
            "CONFIG": {"hosts": [redis_server.url]},
        }
    }
    with pytest.raises(CommandError, match="--sleep must be above 0"):
        call_command("rundelay", "--sleep", sleep)


def test_a_layer_that_is_not_usable_is_refused_with_the_reason(settings):
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "no.such.Layer", "ROUTING": []}}
    with pytest.raises(CommandError, match="cannot import the BACKEND"):
        call_command("rundelay")
