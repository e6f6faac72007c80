"""Plain sends from wherever code runs: views, signals, shells, threads and forked processes."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import warnings

import pytest
import redis
from django.contrib.auth.models import Group as UserGroup
from django.db.models.signals import post_save
from django.http import HttpResponse
from django.test import AsyncRequestFactory, RequestFactory

from channels_classic import Channel, Group, channel_layers
from channels_classic.asgi import ChannelLayerWrapper
from channels_classic.layers.names import random_letters
from channels_classic.layers.redis import RedisChannelLayer
from tests.acceptance.processes import wait_until

THREADS = 100
#: What the option ``max_connections`` is unless it is given.
DEFAULT = 50


@pytest.fixture
def client(redis_server):
    client = redis.Redis.from_url(redis_server.url)
    yield client
    client.close()


@pytest.fixture
def use(redis_server, monkeypatch):
    """``use(**options)``: the default layer is on Redis, and its connections have a name."""
    layers = []

    def make(**options):
        layer = RedisChannelLayer(
            hosts=[redis_server.url],
            prefix=f"{random_letters(8)}:",
            connection_kwargs={"client_name": "senders"},
            capacity=1000,
            **options,
        )
        layers.append(layer)
        wrapper = ChannelLayerWrapper(layer, "default", [])
        monkeypatch.setitem(channel_layers.backends, "default", wrapper)
        return layer

    yield make
    for layer in layers:
        layer.close()


def ids(client) -> set[str]:
    """The connections of these tests."""
    return {each["id"] for each in client.client_list() if each["name"] == "senders"}


def received(layer) -> set[int]:
    """The numbers of what was sent to "work"."""
    numbers = set()
    while (content := layer.receive(["work"])[1]) is not None:
        numbers.add(content["n"])
    return numbers


# Many threads ---------------------------------------------------------------------------------


def all_at_once(send) -> None:
    """``send(number)`` in each of so many threads, which begin together."""
    start, errors = threading.Barrier(THREADS), []

    def work(number: int) -> None:
        start.wait()
        try:
            for turn in range(5):
                send(number * 5 + turn)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


@pytest.mark.parametrize(("options", "most"), [({}, DEFAULT), ({"max_connections": 3}, 3)])
def test_a_hundred_threads_open_no_more_connections_than_allowed(use, client, options, most):
    layer = use(**options)
    before = ids(client)  # of earlier tests, on their way out
    all_at_once(lambda number: Channel("work").send({"n": number}))
    assert 1 <= len(ids(client) - before) <= most
    assert received(layer) == set(range(5 * THREADS))


def test_group_sends_of_a_hundred_threads_share_the_same_connections(use, client):
    layer = use(max_connections=3)
    Group("group").add("work")
    before = ids(client)
    all_at_once(lambda number: Group("group").send({"n": number}))
    assert len(ids(client) - before) <= 3
    assert received(layer) == set(range(5 * THREADS))


# Views, signals and shells --------------------------------------------------------------------


def test_a_view_sends(use):
    layer = use()

    def view(request):
        Channel("work").send({"n": 1})
        return HttpResponse()

    view(RequestFactory().get("/"))
    assert received(layer) == {1}


def test_an_async_view_sends(use):
    layer = use()

    async def view(request):
        await Channel("work").asend({"n": 1})
        Channel("work").send({"n": 2})
        return HttpResponse()

    asyncio.run(view(AsyncRequestFactory().get("/")))
    assert received(layer) == {1, 2}


@pytest.mark.django_db(transaction=True)
def test_a_signal_of_a_model_sends_on_commit(use):
    layer = use()

    def saved(sender, instance, **kwargs):
        Channel("work").send({"n": instance.pk}, on_commit=True)

    post_save.connect(saved, sender=UserGroup)
    try:
        group = UserGroup.objects.create(name="editors")
    finally:
        post_save.disconnect(saved, sender=UserGroup)
    assert received(layer) == {group.pk}


SCRIPT = """
import sys
from django.conf import settings
url, prefix = sys.argv[1:]
settings.configure(CHANNEL_LAYERS={"default": {
    "BACKEND": "channels_classic.layers.redis.RedisChannelLayer",
    "CONFIG": {"hosts": [url], "prefix": prefix},
    "ROUTING": [],
}})
from channels_classic import Channel
Channel("work").send({"n": 1})
"""


def test_a_script_sends_and_ends(use, redis_server):
    """With the settings alone: it need not even set Django up."""
    layer = use()
    command = [sys.executable, "-W", "error", "-c", SCRIPT, redis_server.url, layer.prefix]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert received(layer) == {1}


# Processes that were forked -------------------------------------------------------------------


def test_forked_processes_send_over_connections_of_their_own(use, client):
    """As the children of a task queue that imported the project, and sent, before it forked."""
    layer = use(max_connections=2)
    Channel("work").send({"n": 0})
    mine = ids(client)
    go_read, go_write = os.pipe()
    children = [fork(number, go_read) for number in range(1, 5)]
    Channel("work").send({"n": 5})
    wait_until(lambda: len(ids(client) - mine) >= 4, 30, "they have theirs open, and wait")
    os.write(go_write, b"x" * 4)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 4
    os.close(go_read), os.close(go_write)
    Channel("work").send({"n": 6})
    assert mine <= ids(client)
    assert received(layer) == set(range(7))


def fork(number: int, go: int) -> int:
    """A child that sends its number, and ends when it may; the status says whether it could."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # other tests may have left threads
        child = os.fork()
    if child == 0:  # no test of ours may go on in here
        try:
            Channel("work").send({"n": number})
            os._exit(0 if os.read(go, 1) == b"x" else 1)
        finally:
            os._exit(2)
    return child
