"""``channels-classic stats``: what it prints, and with which status it ends."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from channels_classic import cli, cli_target
from channels_classic.asgi import ChannelLayerWrapper, channel_layers
from channels_classic.routing import route
from tests import cli_layers

HERE = "tests.cli_layers:layer"


@pytest.fixture
def layer(monkeypatch):
    made = cli_layers.filled()
    monkeypatch.setattr(cli_layers, "layer", made)
    monkeypatch.setattr(cli_target, "setup_logger", lambda name, verbosity: None)
    return made


def run(*arguments, path=HERE):
    """The output and the status."""
    result = CliRunner().invoke(cli.main, ["stats", path, *arguments], color=True)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.output, result.exit_code


def figures(*arguments):
    output, status = run("--json", *arguments)
    assert status == 0
    return json.loads(output)


def test_json_has_all_there_is_to_see(layer):
    found = figures()
    channels = {each["name"]: each for each in found["channels"]}
    assert channels["thumbnails"]["waiting"] == 3
    assert channels["thumbnails"]["counts"]["messages_count"] == 3
    assert channels["mail"]["delayed"] == 1
    assert 400 < channels["mail"]["next_due"] <= 500
    assert [each["pid"] for each in found["servers"]] == [7]
    assert found["workers"][0]["running"][0]["consumer"] == "a.b"
    assert (found["dead"], found["delayed"]) == (0, 1)
    assert layer.is_closed


def test_one_channel_is_told_of_alone_and_also_when_nobody_knows_it(layer):
    found = figures("--channel", "mail", "--channel", "never.seen")
    assert {each["name"]: each["waiting"] for each in found["channels"]} == {
        "mail": 0,
        "never.seen": 0,
    }


def test_channels_with_a_route_are_told_of_before_anything_was_sent(layer):
    wrapper = ChannelLayerWrapper(layer, "default", [route("quiet", print)])
    old = channel_layers.set("default", wrapper)
    try:
        assert "quiet" in {each["name"] for each in figures()["channels"]}
    finally:
        channel_layers.set("default", old)


def test_the_text_is_tables(layer):
    output, status = run()
    assert status == 0
    lines = output.splitlines()
    assert lines[0].split()[:4] == ["CHANNEL", "WAITING", "OLDEST", "WORKERS"]
    rows = {line.split()[0]: line.split() for line in lines if line}
    assert rows["thumbnails"][1] == "3"
    assert rows["web"] == ["web", "7", "90", "s", "4", "1,200", "0", "0"]
    assert lines[-1] == "Groups: 0  Dead letters: 0  Delayed messages: 1"


def test_what_processes_say_cannot_steer_a_terminal(layer):
    assert "\x1b" not in run()[0]


def test_with_nothing_to_see_there_are_heads(monkeypatch, layer):
    monkeypatch.setattr(cli_layers, "layer", cli_layers.Shared())
    output, status = run()
    assert status == 0
    assert output.startswith("CHANNEL")


def test_when_the_bus_is_away_it_says_so_in_a_line(layer):
    layer.away = 1
    output, status = run("--json")
    assert (output, status) == ("Error: no Redis at localhost:6379\n", 1)


def test_a_layer_within_one_process_cannot_be_looked_into(layer):
    output, status = run(path="tests.cli_layers:memory")
    assert status == 1
    assert "carries messages within one process" in output


def test_help_teaches():
    output = CliRunner().invoke(cli.main, ["stats", "--help"]).output
    for word in ("--json | jq .dead", "--channel NAME", "status is 0"):
        assert word in output
