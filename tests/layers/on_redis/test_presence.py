"""Presence: a shard that does not answer is left alone until it does."""

from __future__ import annotations

import logging

import pytest
from redis.exceptions import ResponseError

from channels_classic.exceptions import LayerUnavailable
from channels_classic.layers.on_redis.presence import Presence
from channels_classic.layers.on_redis.shard import Shard
from tests.acceptance.processes import wait_until
from tests.layers.on_redis.pairs import pair

__all__ = ["pair"]


@pytest.fixture
def layer(pair):
    """Of two shards."""
    return pair.layer()


@pytest.fixture
def presence(layer) -> Presence:
    return layer.presence


def look(presence: Presence, shard: Shard) -> None:
    """One call."""
    with presence.noted(shard):
        shard.call(("PING",))


def fail(presence: Presence, shard: Shard) -> None:
    """One call that fails."""
    with pytest.raises(LayerUnavailable):
        look(presence, shard)


def test_at_first_all_are_there(layer, presence):
    assert list(presence.present()) == layer.shards
    assert not any(map(presence.is_away, layer.shards))


def test_who_does_not_answer_is_left_alone_until_it_does(pair, layer, presence):
    one, two = layer.shards
    pair.servers[0].kill()
    fail(presence, one)
    assert presence.is_away(one)
    assert not presence.is_away(two)
    assert list(presence.present()) == [two]
    pair.servers[0].start()
    wait_until(lambda: not presence.is_away(one), 2)
    assert list(presence.present()) == [one, two]


def test_who_hangs_is_there_again_at_once(pair, layer, presence):
    one, _ = layer.shards
    pair.hang(0)
    fail(presence, one)
    assert presence.is_away(one)
    pair.go_on(0)
    wait_until(lambda: not presence.is_away(one), 2)


def test_when_none_answers_all_may_be_asked(pair, layer, presence):
    for server, shard in zip(pair.servers, layer.shards, strict=True):
        server.kill()
        fail(presence, shard)
    assert list(presence.present()) == layer.shards


def refuse(presence: Presence, shard: Shard) -> None:
    with presence.noted(shard):
        raise LayerUnavailable("no") from ResponseError("OOM")


def test_who_refuses_a_command_has_answered(layer, presence):
    with pytest.raises(LayerUnavailable):
        refuse(presence, layer.shards[0])
    assert not presence.is_away(layer.shards[0])


def test_the_only_shard_is_never_left_alone(pair, layer):
    presence = Presence(layer.shards[:1])
    pair.servers[0].kill()
    fail(presence, layer.shards[0])
    assert not presence.is_away(layer.shards[0])


def test_an_outage_is_logged_once(pair, layer, presence, caplog):
    caplog.set_level(logging.INFO, "channels_classic.layers")
    pair.servers[0].kill()
    for _ in range(3):
        fail(presence, layer.shards[0])
    pair.servers[0].start()
    wait_until(lambda: not presence.is_away(layer.shards[0]), 2)
    wait_until(lambda: len(caplog.records) == 2, 2)
    first, second = (record.getMessage() for record in caplog.records)
    assert first.startswith("A shard is left alone until it answers: Redis at 127.0.0.1:")
    assert second == f"The shard at 127.0.0.1:{pair.servers[0].port} answers again."
