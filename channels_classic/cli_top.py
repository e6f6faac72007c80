"""``channels-classic top``: the live page in a terminal, read from the bus itself."""

from __future__ import annotations

import importlib
import sys
import time
from contextlib import suppress
from typing import Any

import click

from channels_classic.cli_target import layer_of_site, load, verbosity_option, wrapper_of
from channels_classic.exceptions import ChannelsError, LayerUnavailable
from channels_classic.layers.base import BaseChannelLayer
from channels_classic.monitor.limits import Limits
from channels_classic.monitor.looker import Looker
from channels_classic.utils import name_that_thing

#: Seconds between two frames.
EVERY = 1.0
#: Lines of a frame that goes to a file or a pipe.
_ENDLESS = 1000


@click.command(context_settings={"show_default": True, "max_content_width": 100})
@click.argument("path", metavar="MODULE:ATTRIBUTE")
@click.option("--once", is_flag=True, help="Print one frame and end; it takes a second.")
@verbosity_option
def top(path: str, once: bool) -> None:
    """Show what goes on, each second: channels, workers, servers, dead letters.

    \b
      channels-classic top project.asgi:channel_layer

    Keys: q quits; channels are sorted by a activity, n name, w waiting, i in, o out, f failed.

    It asks the bus, and needs neither workers nor servers. When the bus goes away it says so and
    goes on when it is back; the status is 1 when the bus is not there at the beginning. For
    scripts there is "channels-classic stats --json".

    It needs an extra: pip install 'channels-classic[top]'
    """
    if not once and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("this is no terminal: use --once, or channels-classic stats")
    terminal = _load("channels_classic.monitor.terminal")
    with layer_of_site(load(path), path, what="its figures are") as layer:
        view = View(layer, terminal)
        try:
            view.look()
        except ChannelsError as error:
            raise click.ClickException(str(error)) from error
        if once:
            _print_once(view)
        else:
            _run(view)


class View:
    """What is seen of one layer, and in which order."""

    def __init__(self, layer: BaseChannelLayer, terminal: Any) -> None:
        lines = 10_000
        limits = Limits(channels=lines, workers=lines, servers=lines)
        self.looker = Looker(wrapper_of(layer), limits)
        self.name = name_that_thing(layer)
        self.order = "a"
        self._terminal = terminal
        self._frame: dict[str, Any] = {}
        self._away_since: float | None = None

    def look(self) -> None:
        """Ask the bus. Raises ``LayerUnavailable``."""
        self._frame = self.looker.frame(self.looker.look())
        self._away_since = None

    def look_or_say(self) -> None:
        """The same; when the bus is away, the screen says so."""
        try:
            self.look()
        except LayerUnavailable:
            if self._away_since is None:
                self._away_since = time.monotonic()

    def press(self, key: str) -> None:
        """Sort as the key says."""
        if key in self._terminal.ORDERS:
            self.order = key

    def screen(self, width: int, height: int, *, foot: bool = False) -> Any:
        """What is to be shown; its foot names the keys, or says that the bus is away."""
        return self._terminal.screen(
            self._frame,
            name=self.name,
            order=self.order,
            width=width,
            height=height,
            foot=self.status() if foot else "",
        )

    def status(self) -> str:
        """The last line."""
        if self._away_since is not None:
            away = time.monotonic() - self._away_since
            return f"The bus does not answer, for {away:.0f} s: these are the last figures"
        return f"q quits · sorted by {self._terminal.ORDERS[self.order][0]}: a n w i o f"


def _print_once(view: View) -> None:
    """Rates need two looks."""
    time.sleep(EVERY)
    try:
        view.look()
    except ChannelsError as error:
        raise click.ClickException(str(error)) from error
    console = _load("rich.console").Console()
    console.print(view.screen(console.width, console.height if console.is_terminal else _ENDLESS))


def _run(view: View) -> None:
    """Until somebody presses q or Ctrl-C."""
    keys, live = _load("channels_classic.monitor.keys"), _load("rich.live").Live
    with (
        suppress(KeyboardInterrupt),
        keys.one_by_one(),
        live(screen=True, auto_refresh=False) as shown,
    ):
        until = time.monotonic()
        key = ""
        while key != "q":
            if time.monotonic() >= until:
                view.look_or_say()
                until = time.monotonic() + EVERY
            console = shown.console
            shown.update(view.screen(console.width, console.height, foot=True), refresh=True)
            key = keys.pressed(until - time.monotonic()).lower()
            view.press(key)


def _load(name: str) -> Any:
    """A module, imported by name: rich, which it is or needs, is in an extra."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "rich":
            raise
        raise click.ClickException(
            "this needs rich: pip install 'channels-classic[top]'"
        ) from error
