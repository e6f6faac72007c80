"""Imports of Channels 1 and the uses of what they bind: before and after."""

from __future__ import annotations

import pytest

from channels_classic.migrate import names, python

PAIRS = {
    "from the root": ("from channels import Group\n", "from channels_classic import Group\n"),
    "from a module": (
        "from channels.routing import route, include as inc\n",
        "from channels_classic.routing import route, include as inc\n",
    ),
    "from a package's module": (
        "from channels.generic.websockets import JsonWebsocketConsumer\n",
        "from channels_classic.generic.websockets import JsonWebsocketConsumer\n",
    ),
    "a module from the root": (
        "from channels import routing, sessions as s\n",
        "from channels_classic import routing, sessions as s\n",
    ),
    "a star": ("from channels.auth import *\n", "from channels_classic.auth import *\n"),
    "in parentheses, with comments": (
        "from channels.auth import (  # users\n    channel_session_user,   # all\n)\n",
        "from channels_classic.auth import (  # users\n    channel_session_user,   # all\n)\n",
    ),
    "over a backslash": (
        "from channels import Group, \\\n    Channel\n",
        "from channels_classic import Group, \\\n    Channel\n",
    ),
    "in a function": (
        "def f():\n    from channels import Group\n    return Group('x')\n",
        "def f():\n    from channels_classic import Group\n    return Group('x')\n",
    ),
    "where it may fail": (
        "try:\n    from channels import Group\nexcept ImportError:\n    Group = None\n",
        "try:\n    from channels_classic import Group\nexcept ImportError:\n    Group = None\n",
    ),
    "under a condition": (
        "if USE:\n    import channels.asgi as asgi\n",
        "if USE:\n    import channels_classic.asgi as asgi\n",
    ),
    "the package and its uses": (
        "import channels\nchannels.Group('x', channels=channels)\n",
        "import channels_classic\nchannels_classic.Group('x', channels=channels_classic)\n",
    ),
    "one of several": (
        "import os, channels, sys\nprint(channels.__version__)\n",
        "import os, channels_classic, sys\nprint(channels_classic.__version__)\n",
    ),
    "a module and its uses": (
        "import channels.routing\nx = channels.routing.route\n",
        "import channels_classic.routing\nx = channels_classic.routing.route\n",
    ),
    "with another name": (
        "import channels as c, channels.handler as h\nc.Group, h.AsgiHandler\n",
        "import channels_classic as c, channels_classic.handler as h\nc.Group, h.AsgiHandler\n",
    ),
    "in a function, with uses": (
        "def f():\n    import channels\n    channels.Group\n\nchannels = 1\n",
        "def f():\n    import channels_classic\n    channels_classic.Group\n\nchannels = 1\n",
    ),
    "bound to something else, too": (
        "try:\n    import channels\nexcept ImportError:\n    channels = None\n",
        "try:\n    import channels_classic as channels\nexcept ImportError:\n    channels = None\n",
    ),
    "the tests": (
        "from channels.tests import ChannelTestCase\n",
        "from channels_classic.test import ChannelTestCase\n",
    ),
    "a module of the tests": (
        "from channels.tests.http import HttpClient\n",
        "from channels_classic.test.http import HttpClient\n",
    ),
    "the tests from the root": (
        "from channels import tests, tests as t\ntests.Client\n",
        "from channels_classic import test as tests, test as t\ntests.Client\n",
    ),
    "the tests and their uses": (
        "import channels.tests\nchannels.tests.Client()\n",
        "import channels_classic.test\nchannels_classic.test.Client()\n",
    ),
    "a layer": (
        "from asgi_redis import RedisChannelLayer\n",
        "from channels_classic.layers.redis import RedisChannelLayer\n",
    ),
    "a layer by its module": (
        "import asgi_redis\nasgi_redis.RedisChannelLayer()\n",
        "import channels_classic.layers.redis\nchannels_classic.layers.redis.RedisChannelLayer()\n",
    ),
    "a layer with another name now": (
        "from asgi_ipc import IPCChannelLayer\n",
        "from channels_classic.layers.local import LocalChannelLayer as IPCChannelLayer\n",
    ),
    "the layer of one process": (
        "from asgiref.inmemory import ChannelLayer as Layer\n",
        "from channels_classic.layers.memory import InMemoryChannelLayer as Layer\n",
    ),
    "the base of layers": (
        "from asgiref.base_layer import BaseChannelLayer\n",
        "from channels_classic.layers.base import BaseChannelLayer\n",
    ),
    "the suite for layers": (
        "from asgiref.conformance import ConformanceTestCase\n",
        "from channels_classic.test.conformance import ConformanceTestCase\n",
    ),
}

UNTOUCHED = {
    "a module beside it": "from . import channels\nfrom .channels import Group\nchannels.Group\n",
    "a module of another package": "from chat import channels\nfrom chat.channels import Group\n",
    "a longer name": "import channels_extra\nfrom channelsx import Group\n",
    "a local variable": "def f(channels=None):\n    channels.Group = channels\n",
    "an attribute": "self.channels.Group = x().channels\n",
    "an argument": "f(channels=1)\n",
    "what is Django's in asgiref": "import asgiref.sync\nfrom asgiref.sync import async_to_sync\n",
    "a comment": "# from channels import Group\n",
    "what is migrated": "from channels_classic import Group\nimport channels_classic.test\n",
}


@pytest.mark.parametrize(("before", "after"), PAIRS.values(), ids=PAIRS)
def test_an_import_is_rewritten(before, after):
    assert python.rewrite(before).data.decode() == after


@pytest.mark.parametrize(("before", "after"), PAIRS.values(), ids=PAIRS)
def test_what_is_rewritten_stays(before, after):
    again = python.rewrite(after)
    assert (again.data.decode(), again.changes, again.notes) == (after, [], [])


@pytest.mark.parametrize("source", UNTOUCHED.values(), ids=UNTOUCHED)
def test_other_names_are_untouched(source):
    rewritten = python.rewrite(source)
    assert (rewritten.data.decode(), rewritten.notes) == (source, [])


def test_a_local_variable_hides_the_package():
    before = "import channels\ndef f(channels):\n    return channels.Group(channels=channels)\n"
    assert python.rewrite(before).data.decode() == before.replace(
        "import channels", "import channels_classic"
    )


@pytest.mark.parametrize(
    "source",
    [
        "from channels.routing import ProtocolTypeRouter, route\n",
        "from channels.layers import get_channel_layer\n",
        "from channels.generic.websocket import WebsocketConsumer\n",
        "from channels import layers, Group\n",
        "from channels.generic import websocket\n",
        "from channels.exceptions import StopConsumer\n",
        "import channels.db\nchannels.db.database_sync_to_async\n",
        "import channels\nchannels.layers.get_channel_layer, channels.Group\n",
        "import channels.consumer as c\n",
        "import channels_redis\nBACKEND = 'channels_redis.core.RedisChannelLayer'\n",
    ],
)
def test_channels_2_is_named_and_left(source):
    rewritten = python.rewrite(source)
    assert rewritten.data.decode() == source
    assert rewritten.modern
    assert {note.text for note in rewritten.notes} == {names.MODERN_TEXT}


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("from channels.models import Room\n", "Channels 1 has no channels.models"),
        ("from asgi_rabbitmq import Layer\n", "nothing in its place"),
        ("from asgiref.inmemory import channel_layer\n", "nothing in its place"),
        (
            "from asgi_redis import RedisChannelLayer, RedisLocalChannelLayer\n",
            "in several places now",
        ),
        ("import channels.routing\nchannels = 1\nchannels.routing\n", "also names something else"),
    ],
)
def test_what_cannot_be_rewritten_is_said_and_left(source, text):
    rewritten = python.rewrite(source)
    assert rewritten.data.decode() == source
    assert any(text in note.text for note in rewritten.notes)


def test_a_removed_name_is_said_with_what_to_do():
    rewritten = python.rewrite("\nfrom channels.exceptions import AcceptConnection\n")
    [note] = rewritten.notes
    assert note.line == 2
    assert "{'accept': True}" in note.text


def test_a_name_that_was_never_documented_is_rewritten_and_said():
    rewritten = python.rewrite("from channels.worker import sys\n")
    assert rewritten.data == b"from channels_classic.worker import sys\n"
    assert "no documented name" in rewritten.notes[0].text


def test_changes_have_the_lines_of_the_file_before():
    source = "import os\n\nfrom channels import (\n    Group,\n    tests,\n)\n"
    assert [change.line for change in python.rewrite(source).changes] == [3, 5]
