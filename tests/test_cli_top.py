"""``channels-classic top``: its frame, its keys, and what it does when the bus goes away."""

from __future__ import annotations

import contextlib
import importlib
import os
import pty
import re
import select
import sys
import time

import pytest
from click.testing import CliRunner
from rich.console import Console

from channels_classic import cli, cli_target, cli_top
from channels_classic.monitor.frame import frame
from channels_classic.monitor.limits import Limits
from channels_classic.monitor.terminal import duration, rate, screen
from tests import cli_layers
from tests.monitor.snapshots import channel, running, server, snapshot, worker

HERE = "tests.cli_layers:layer"


@pytest.fixture
def layer(monkeypatch):
    made = cli_layers.filled()
    monkeypatch.setattr(cli_layers, "layer", made)
    monkeypatch.setattr(cli_target, "setup_logger", lambda name, verbosity: None)
    monkeypatch.setattr(cli_top, "EVERY", 0.01)
    monkeypatch.setenv("COLUMNS", "160")
    return made


def run(*arguments, path=HERE):
    """The output and the status."""
    result = CliRunner().invoke(cli.main, ["top", path, *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.output, result.exit_code


# A frame --------------------------------------------------------------------------------------


def test_once_prints_a_frame_with_rates(layer):
    output, status = run("--once")
    assert status == 0
    lines = output.splitlines()
    assert lines[0].startswith("channels-classic top  tests.cli_layers.Shared  ")
    assert re.match(r"in \d.*/s  out \d.*/s .* waiting 3  running 1  sockets 4", lines[1])
    rows = {line.split()[0]: line.split() for line in lines if line}
    assert rows["thumbnails"][1] == "3"
    assert "3.5 s  thumbnails  a.b" in output
    assert layer.is_closed


def test_what_processes_say_cannot_steer_a_terminal(layer):
    assert "\x1b[2J" not in run("--once")[0]


def shown(found, width=120, height=30, **options):
    """The lines on a terminal of this size."""
    console = Console(width=width, height=height, color_system=None)
    with console.capture() as capture:
        console.print(screen(found, name="layer", width=width, height=height, **options))
    return capture.get().splitlines()


def busy():
    """A site with much of everything."""
    return frame(
        snapshot(
            *(channel(f"tasks.number{n}", sent=n, waiting=n % 7) for n in range(500)),
            servers=[server(f"s{n}") for n in range(40)],
            workers=[worker(f"w{n}", running=[running(n)] * 5) for n in range(40)],
        ),
        None,
        [],
        [],
        Limits(channels=500),
    )


@pytest.mark.parametrize(("width", "height"), [(80, 24), (40, 10), (200, 60), (20, 6)])
def test_a_frame_fits_the_terminal(width, height):
    lines = shown(busy(), width, height, foot="q quits")
    assert len(lines) < height
    assert max(map(len, lines)) <= width
    assert lines[-1].startswith("q quits")


def test_channels_have_half_of_the_lines_at_least():
    lines = shown(busy(), height=40)
    assert sum(line.startswith("tasks.") for line in lines) >= 18


@pytest.mark.parametrize(
    ("key", "first"),
    [("n", "a"), ("w", "c"), ("i", "b"), ("f", "d")],
)
def test_channels_are_sorted_as_is_asked_for(key, first):
    found = frame(
        snapshot(
            channel("d", failed=9), channel("c", waiting=9), channel("b", sent=9), channel("a")
        ),
        None,
        [],
        [],
        Limits(),
    )
    for row in found["channels"]:
        row["in"] = row["sent"]
    lines = shown(found, order=key)
    assert lines[3].split()[0] == first


def test_a_narrow_terminal_shows_what_is_needed_most():
    head = shown(busy(), width=60)[2].split()
    assert {"CHANNEL", "WAITING", "IN/S", "OUT/S", "FAILED", "DEAD"} <= set(head)
    assert "EXPIRED" not in head


def test_numbers_are_short():
    assert [rate(each) for each in (None, 0, 0.25, 12.34, 1234.5)] == [
        "-",
        "0",
        "0.2",
        "12.3",
        "1,234",
    ]
    found = [duration(each) for each in (None, 0.24, 42, 150, 7200, 400_000)]
    assert found == ["-", "0.2 s", "42 s", "2.5 min", "2.0 h", "5 d"]


# When it cannot ---------------------------------------------------------------------------------


def test_when_the_bus_is_away_it_says_so_in_a_line(layer):
    layer.away = 1
    output, status = run("--once")
    assert (output, status) == ("Error: no Redis at localhost:6379\n", 1)


def test_where_there_is_no_terminal_it_says_what_to_do_instead(layer):
    output, status = run()
    assert status == 2
    assert "use --once, or channels-classic stats" in output


def test_without_rich_it_says_how_to_get_it(layer, monkeypatch):
    def no_rich(name):
        raise ModuleNotFoundError("No module named 'rich'", name="rich")

    monkeypatch.setattr(importlib, "import_module", no_rich)
    output, status = run("--once", path="tests.cli_layers:layer")
    assert (output, status) == ("Error: this needs rich: pip install 'channels-classic[top]'\n", 1)


def test_a_layer_within_one_process_cannot_be_looked_into(layer):
    output, status = run("--once", path="tests.cli_layers:memory")
    assert status == 1
    assert "carries messages within one process" in output


# In a terminal -----------------------------------------------------------------------------------


class Terminal:
    """A terminal, and the command in it."""

    def __init__(self):
        self.text = ""
        self.pid, self.file = pty.fork()
        if not self.pid:
            code = (
                "from tests import cli_layers; from channels_classic import cli, cli_top\n"
                "cli_layers.layer = cli_layers.filled(); cli_top.EVERY = 0.2\n"
                "looks = cli_layers.layer.ledger.census; count = [0]\n"
                "def census(channels=()):\n"
                "    count[0] += 1\n"
                "    cli_layers.layer.away = 2 < count[0] < 15\n"
                "    return looks(channels)\n"
                "cli_layers.layer.ledger.census = census\n"
                f"cli.main(['top', {HERE!r}])\n"
            )
            os.environ.update(TERM="xterm", COLUMNS="120", LINES="30")
            os.execv(sys.executable, [sys.executable, "-c", code])

    def wait_for(self, pattern):
        """Until it is on the screen; only what came since the last time counts."""
        end = time.monotonic() + 40
        while not (found := re.search(pattern, self.text)):
            assert time.monotonic() < end, f"{pattern} not in: {self.text[-2000:]}"
            ready, _, _ = select.select([self.file], [], [], 0.1)
            if ready:
                self.text += os.read(self.file, 65536).decode()
        self.text = self.text[found.end() :]

    def press(self, key):
        os.write(self.file, key.encode())

    def status(self):
        """With which it ends; what it still says is read, as it waits for that."""
        end = time.monotonic() + 40
        while not (ended := os.waitpid(self.pid, os.WNOHANG))[0]:
            assert time.monotonic() < end, "still there"
            ready, _, _ = select.select([self.file], [], [], 0.05)
            if ready:
                with contextlib.suppress(OSError):  # it has just ended
                    os.read(self.file, 65536)
        os.close(self.file)
        return os.waitstatus_to_exitcode(ended[1])


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_in_a_terminal_it_sorts_outlives_the_bus_and_quits():
    terminal = Terminal()
    terminal.wait_for("sorted by activity")
    terminal.wait_for("The bus does not answer, for 1 s: these are the last figures")
    terminal.wait_for("sorted by activity")
    terminal.press("w")
    terminal.wait_for("sorted by waiting")
    terminal.press("q")
    assert terminal.status() == 0
