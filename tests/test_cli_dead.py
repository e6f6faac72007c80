"""``channels-classic dead``: what it shows, what it does, with which status it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from channels_classic import cli, cli_target
from channels_classic.exceptions import ChannelFull, LayerUnavailable
from channels_classic.layers.base import BaseChannelLayer
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.layers.redis import RedisChannelLayer
from channels_classic.layers.traffic import DeadLetter, Reasons
from channels_classic.server import InterfaceServer

ROOT = Path(__file__).parents[1]
COMMAND = Path(sys.executable).with_name("channels-classic")

#: One second before 2033.
DIED = 1988150399.25


class Layer(BaseChannelLayer):
    """A layer with nothing but dead letters, and with room for ``room`` that are put back."""

    def __init__(self, *letters):
        super().__init__()
        self.letters = list(letters)
        self.put_back = []
        self.room = 1000
        self.is_closed = False

    def dead_letters(self, channel=None):
        return iter([each for each in self.letters if channel in (None, each.channel)])

    def delete_dead(self, letters):
        gone = [each for each in letters if each in self.letters]
        self.letters = [each for each in self.letters if each not in gone]
        return len(gone)

    def requeue_dead(self, letters):
        count = 0
        for each in letters:
            if len(self.put_back) == self.room:
                raise ChannelFull
            self.put_back.append(each)
            count += self.delete_dead([each])
        return count

    def close(self):
        self.is_closed = True


def letter(number, channel="thumbnails", **fields):
    known = {
        "id": f"0-{number}",
        "channel": channel,
        "content": {"photo": number},
        "attempts": 5,
        "error": f"ValueError: photo {number}",
        "traceback": f"Traceback (most recent call last):\nValueError: photo {number}\n",
        "worker": "host-1-abc",
        "died": DIED,
    }
    return DeadLetter(**{**known, **fields})


memory = InMemoryChannelLayer()


@pytest.fixture
def layer(monkeypatch):
    """``tests.test_cli_dead:layer``, with three dead letters."""
    made = Layer(letter(1), letter(2, "mail"), letter(3))
    monkeypatch.setattr(sys.modules[__name__], "layer", made)
    return made


@pytest.fixture(autouse=True)
def _quiet_logging(monkeypatch):
    """The command sets up logging for its process; here it must leave the loggers alone."""
    monkeypatch.setattr(cli_target, "setup_logger", lambda name, verbosity: None)


def run(command, *arguments, path="tests.test_cli_dead:layer", answer=None):
    """The output and the status."""
    given = ["dead", command, *arguments, *(["--layer", path] if path else [])]
    result = CliRunner().invoke(cli.main, given, input=answer)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.output, result.exit_code


def ids(layer):
    return [each.id for each in layer.letters]


# list -------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("layer")
def test_they_are_listed_oldest_first():
    output, status = run("list")
    lines = [line.split(maxsplit=3) for line in output.splitlines()]
    assert [line[:3] for line in lines] == [
        ["ID", "CHANNEL", "ATTEMPTS"],
        ["0-1", "thumbnails", "5"],
        ["0-2", "mail", "5"],
        ["0-3", "thumbnails", "5"],
    ]
    assert lines[1][3].endswith("ValueError: photo 1")
    assert "2032-12-31" in lines[1][3] or "2033-01-01" in lines[1][3]
    assert status == 0


@pytest.mark.usefixtures("layer")
def test_those_of_one_channel_are_listed():
    output, _ = run("list", "--channel", "mail")
    assert "0-2" in output
    assert "thumbnails" not in output


@pytest.mark.usefixtures("layer")
def test_the_list_has_a_limit_and_says_so():
    output, status = run("list", "--limit", "2")
    assert "0-2" in output
    assert "0-3" not in output
    assert "There are more than 2: see --limit." in output
    assert status == 0
    assert "There are more" not in run("list", "--limit", "3")[0]


@pytest.mark.parametrize("command", [["list"], ["requeue", "--all"], ["delete", "--all"]])
def test_that_there_are_none_is_said(layer, command):
    layer.letters = []
    assert run(*command) == ("No dead letters.\n", 0)


def test_the_list_is_to_be_had_as_json(layer):
    layer.letters = [letter(1, content={"photo": b"\x00\xff"}), letter(2, content=None)]
    output, status = run("list", "--json")
    first, second = json.loads(output)
    assert first == {
        **letter(1)._asdict(),
        "content": {"photo": "AP8="},
        "died": "2032-12-31T23:59:59.250+00:00",
    }
    assert second["content"] is None
    assert status == 0
    layer.letters = []
    assert json.loads(run("list", "--json")[0]) == []


def test_a_long_error_is_cut_and_obeyed_by_no_terminal(layer):
    layer.letters = [letter(1, error="\x1b[31m" + "x" * 500 + "\nmore")]
    output, _ = run("list")
    assert "\\x1b[31mxxx" in output
    assert "x…\n" in output
    assert max(map(len, output.splitlines())) < 140
    assert "\x1b" not in run("show", "0-1")[0]


# show -------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("layer")
def test_one_is_shown_with_all_that_is_known():
    output, status = run("show", "0-2")
    for text in (
        *("0-2", "mail", "5", "host-1-abc", "ValueError: photo 2", "{'photo': 2}"),
        "Traceback (most recent call last):\nValueError: photo 2",
    ):
        assert text in output
    assert status == 0


def test_a_long_content_is_cut(layer):
    layer.letters = [letter(1, content={"text": "x" * 20_000})]
    output, _ = run("show", "0-1")
    assert len(output) < 11_000
    assert "characters)" in output


def test_a_content_that_cannot_be_read_is_shown_as_such(layer):
    layer.letters = [letter(1, content=None, traceback="")]
    output, status = run("show", "0-1")
    assert output.endswith("Content:\nit cannot be decoded with the keys of this layer\n")
    assert status == 0


# requeue and delete -------------------------------------------------------------------------------


def test_those_that_are_named_are_put_back(layer):
    assert run("requeue", "0-3", "0-1", "0-3", "--yes") == ("2 of 2 dead letters put back.\n", 0)
    assert [each.id for each in layer.put_back] == ["0-3", "0-1"]
    assert ids(layer) == ["0-2"]
    assert layer.is_closed


def test_those_that_are_named_are_deleted(layer):
    assert run("delete", "0-2", "-y") == ("1 of 1 dead letter deleted.\n", 0)
    assert ids(layer) == ["0-1", "0-3"]


@pytest.mark.parametrize("command", ["requeue", "delete"])
def test_all_of_them_are_dealt_with(layer, command):
    _, status = run(command, "--all", "--yes")
    assert (ids(layer), status) == ([], 0)


@pytest.mark.parametrize("command", ["requeue", "delete"])
def test_all_of_one_channel_are_dealt_with(layer, command):
    _, status = run(command, "--all", "--channel", "thumbnails", "--yes")
    assert (ids(layer), status) == (["0-2"], 0)


@pytest.mark.parametrize(
    ("command", "question"),
    [
        ("requeue", "Put back 3 dead letters of mail, thumbnails? [y/N]"),
        ("delete", "Delete 3 dead letters of mail, thumbnails? [y/N]"),
    ],
)
def test_nothing_is_done_without_a_yes(layer, command, question):
    for answer in ("n\n", "\n", ""):
        output, status = run(command, "--all", answer=answer)
        assert question in output
        assert (len(layer.letters), status) == (3, 1)
    _, status = run(command, "--all", answer="y\n")
    assert (ids(layer), status) == ([], 0)


@pytest.mark.parametrize("command", ["requeue", "delete"])
def test_an_id_that_does_not_exist_is_an_error_and_nothing_is_done(layer, command):
    output, status = run(command, "0-1", "0-8", "0-9", "--yes")
    assert output == "Error: no dead letter has the ID 0-8 or 0-9\n"
    assert (len(layer.letters), status) == (3, 1)


@pytest.mark.usefixtures("layer")
def test_to_show_an_id_that_does_not_exist_is_an_error():
    assert run("show", "0-9") == ("Error: no dead letter has the ID 0-9\n", 1)


def test_a_full_channel_ends_it_and_it_is_said_how_far_it_came(layer):
    layer.room = 2
    output, status = run("requeue", "--all", "--yes")
    assert output.startswith("Error: 2 of 3 dead letters put back: The channel is at capacity")
    assert (ids(layer), status) == (["0-3"], 1)


def test_those_that_somebody_else_has_dealt_with_meanwhile_are_an_error(layer, monkeypatch):
    monkeypatch.setattr(layer, "delete_dead", lambda letters: 0)
    output, status = run("delete", "--all", "--yes")
    assert "0 of 3 dead letters deleted." in output
    assert "Error: the others were gone" in output
    assert status == 1


# Mistakes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["requeue", "delete"])
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "name the dead letters by their IDs, or say --all"),
        (["0-1", "--all"], "name the dead letters by their IDs, or say --all"),
        (["0-1", "--channel", "mail"], "--channel goes with --all"),
    ],
)
def test_a_command_that_makes_no_sense_is_refused(layer, command, arguments, reason):
    output, status = run(command, *arguments, "--yes")
    assert reason in output
    assert (len(layer.letters), status) == (3, 2)


def test_without_a_layer_it_says_what_is_missing():
    output, status = run("list", path=None)
    assert "Missing option '--layer'" in output
    assert status == 2


@pytest.mark.parametrize(
    ("path", "reason", "expected"),
    [
        ("tests.test_cli_dead", "is not of the form MODULE:ATTRIBUTE", 2),
        ("no_such_module:layer", "cannot import no_such_module", 1),
        ("tests.test_cli_dead:nope", "has no 'nope'", 1),
        ("tests.test_cli_dead:ROOT", "not a channel layer", 1),
        ("tests.test_cli_dead:memory", "carries messages within one process", 1),
    ],
)
def test_a_layer_that_cannot_be_had_is_one_line(path, reason, expected):
    output, status = run("list", path=path)
    assert reason in output.splitlines()[-1]
    assert status == expected


def test_a_bus_that_is_away_is_one_line(layer, monkeypatch):
    def away(channel=None):
        raise LayerUnavailable("Redis at localhost:6379 does not answer")

    monkeypatch.setattr(layer, "dead_letters", away)
    assert run("list") == ("Error: Redis at localhost:6379 does not answer\n", 1)
    assert layer.is_closed


@pytest.mark.parametrize(
    ("command", "texts"),
    [
        (
            [],
            ["list", "show", "requeue", "delete", "becomes a dead letter when", "The status is 0"],
        ),
        (["list"], ["--channel", "--limit", "--json", "oldest first"]),
        (["show"], ["why it was given up"]),
        (["requeue"], ["--all", "--channel", "--yes", "as if never tried"]),
        (["delete"], ["--all", "--channel", "--yes", "for good"]),
    ],
)
def test_the_help_explains(command, texts):
    output = CliRunner().invoke(cli.main, ["dead", *command, "--help"]).output
    for text in texts:
        assert text in output


# On a real layer, as a process --------------------------------------------------------------------


@pytest.fixture
def asgi(redis_server, redis_layer, tmp_path):
    """A project's ``asgi.py`` in ``tmp_path``, for the layer of the test."""
    (tmp_path / "asgi.py").write_text(
        "from channels_classic.layers.redis import RedisChannelLayer\n"
        "from channels_classic.server import InterfaceServer\n"
        f"layer = RedisChannelLayer(hosts=[{redis_server.url!r}], prefix={redis_layer.prefix!r})\n"
        "application = InterfaceServer(layer)\n"
    )

    env = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}

    def command(*arguments, path="asgi:layer"):
        done = subprocess.run(
            [COMMAND, "dead", *arguments, "--layer", path],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.stdout, done.stderr, done.returncode

    return command


def bury(layer, number):
    layer.send("work", {"number": number})
    receiver = layer.receiver(["work"], worker="one")
    [delivery] = receiver.exchange(done=[], sends=[], limit=1, timeout=5).deliveries
    layer.bury(delivery, Reasons(f"ValueError: {number}", "Traceback …", "one"))
    receiver.close()


def test_dead_letters_of_a_project_come_and_go(asgi, redis_layer: RedisChannelLayer):
    assert asgi("list") == ("No dead letters.\n", "", 0)
    for number in range(3):
        bury(redis_layer, number)
    listed = json.loads(asgi("list", "--json", path="asgi:application")[0])
    assert [each["content"] for each in listed] == [{"number": n} for n in range(3)]
    first, second = listed[0]["id"], listed[1]["id"]
    assert "ValueError: 1" in asgi("show", second)[0]
    assert asgi("requeue", first, "--yes")[0] == "1 of 1 dead letter put back.\n"
    assert redis_layer.receive(["work"]) == ("work", {"number": 0})
    assert asgi("requeue", first, "--yes")[1:] == (f"Error: no dead letter has the ID {first}\n", 1)
    assert asgi("delete", "--all", "--yes")[0] == "2 of 2 dead letters deleted.\n"
    assert asgi("list")[0] == "No dead letters.\n"


def test_an_interface_server_may_be_named_too(layer, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "server", InterfaceServer(layer), raising=False)
    output, status = run("list", path="tests.test_cli_dead:server")
    assert "0-1" in output
    assert status == 0
