"""CHANNEL_LAYERS: classes that have moved, options that are gone."""

from __future__ import annotations

import ast

import pytest

from channels_classic.asgi import REPLACED_BACKENDS, build_layer, load_layer_class
from channels_classic.migrate import names, python


def entry(source: str):
    """The value of ``x`` after the rewriting of ``source``."""
    [statement] = ast.parse(python.rewrite(source).data.decode()).body
    return ast.literal_eval(statement.value)


@pytest.mark.parametrize("old", sorted(names.BACKENDS))
def test_each_old_backend_becomes_one_that_works_here(old):
    new = entry(f"x = {{'BACKEND': {old!r}, 'CONFIG': {{}}}}")
    assert load_layer_class("default", new).__name__ == names.BACKENDS[old].rpartition(".")[2]


def test_the_backends_of_channels_1_are_those_that_the_checks_know():
    known = {old for old in REPLACED_BACKENDS if not old.startswith("channels")}
    assert known <= names.BACKENDS.keys()


@pytest.mark.parametrize(
    ("backend", "config"),
    [
        (
            "asgi_redis.RedisChannelLayer",
            {
                "hosts": [("localhost", 6379)],
                "prefix": "a:",
                "expiry": 9,
                "group_expiry": 99,
                "capacity": 5,
                "channel_capacity": {"x": 3},
                "stats_prefix": "y:",
                "connection_kwargs": {"socket_timeout": 9, "retry_on_timeout": True},
            },
        ),
        (
            "asgi_redis.RedisSentinelChannelLayer",
            {
                "hosts": [("localhost", 26379)],
                "services": ["a"],
                "sentinel_refresh_interval": 5,
                "stats_prefix": "y:",
            },
        ),
        ("asgi_redis.RedisLocalChannelLayer", {"hosts": [("localhost", 6379)], "expiry": 9}),
        (
            "asgi_ipc.IPCChannelLayer",
            {
                "prefix": "shop",
                "capacity": 5,
                "message_memory": 9,
                "group_memory": 9,
            },
        ),
        ("asgiref.inmemory.ChannelLayer", {"expiry": 9, "capacity": 7}),
    ],
)
def test_the_layer_takes_the_options_that_are_left(backend, config):
    new = entry(f"x = {{'BACKEND': {backend!r}, 'CONFIG': {config!r}}}")
    layer = build_layer(load_layer_class("default", new), "default", new)
    layer.close()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("{'stats_prefix': 1}", "{}"),
        ("{'stats_prefix': 1, 'a': 2}", "{'a': 2}"),
        ("{'a': 1, 'stats_prefix': 2}", "{'a': 1}"),
        ("{'a': 1, 'stats_prefix': 2,}", "{'a': 1,}"),
        ("{'a': 1, 'message_memory': 2, 'group_memory': 3, 'b': 4}", "{'a': 1, 'b': 4}"),
        ("{'message_memory': 2, 'a': 1, 'group_memory': 3}", "{'a': 1}"),
        (
            "{\n    'a': 1,\n    'stats_prefix': 2,\n    'b': 3,\n}",
            "{\n    'a': 1,\n    'b': 3,\n}",
        ),
        ("{\n    'a': 1,\n    'stats_prefix': 2,\n}", "{\n    'a': 1,\n}"),
        ("{**more, 'stats_prefix': 2}", "{**more}"),
    ],
)
def test_an_option_goes_with_its_comma_and_its_line(before, after):
    source = "x = {{'BACKEND': 'asgi_ipc.IPCChannelLayer', 'CONFIG': {}}}"
    new = "x = {{'BACKEND': 'channels_classic.layers.local.LocalChannelLayer', 'CONFIG': {}}}"
    assert python.rewrite(source.format(before)).data.decode() == new.format(after)


def test_an_option_with_a_comment_is_left_to_a_person():
    source = (
        "x = {'BACKEND': 'asgi_ipc.IPCChannelLayer', 'CONFIG': {\n'group_memory': 2,  # why\n}}"
    )
    rewritten = python.rewrite(source)
    assert b"# why" in rewritten.data
    assert b"group_memory" in rewritten.data
    assert "group_memory" in rewritten.notes[0].text


def test_options_made_elsewhere_are_left_to_a_person():
    rewritten = python.rewrite("x = {'BACKEND': 'asgi_ipc.IPCChannelLayer', 'CONFIG': options()}")
    assert "LocalChannelLayer takes them" in rewritten.notes[0].text


def test_the_layer_on_redis_and_on_the_machine_keeps_its_redis():
    old = "asgi_redis.RedisLocalChannelLayer"
    hosts = entry(f"x = {{'BACKEND': {old!r}, 'CONFIG': {{'hosts': [('redis', 6379)]}}}}")
    assert hosts["BACKEND"] == "channels_classic.layers.redis.RedisChannelLayer"
    assert entry(f"x = {{'BACKEND': {old!r}}}")["BACKEND"] == REPLACED_BACKENDS[old]


def test_options_of_layers_that_are_not_of_channels_1_are_untouched():
    source = "x = {'BACKEND': 'shop.layers.Mine', 'CONFIG': {'stats_prefix': 1}}"
    assert python.rewrite(source).data.decode() == source


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ("'CONFIG': {'channel_capacity': {'http.response!*': 5}}", "server.reply."),
        ("'TEST_CONFIG': {}", "TEST_CONFIG"),
    ],
)
def test_what_means_something_else_now_is_told(config, text):
    rewritten = python.rewrite(f"x = {{'BACKEND': 'asgi_redis.RedisChannelLayer', {config}}}")
    assert any(text in note.text for note in rewritten.notes)


def test_what_the_layer_on_rabbitmq_needs_instead_is_told():
    rewritten = python.rewrite("x = {'BACKEND': 'asgi_rabbitmq.RabbitmqChannelLayer'}")
    assert b"RedisChannelLayer" in rewritten.data
    assert "takes hosts" in rewritten.notes[0].text


def test_sentinels_without_services_are_told():
    rewritten = python.rewrite("x = {'BACKEND': 'asgi_redis.RedisSentinelChannelLayer'}")
    assert "services" in rewritten.notes[0].text
