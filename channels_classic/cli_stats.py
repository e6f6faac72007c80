"""``channels-classic stats``: the figures of a site, once, for people and for scripts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import click

from channels_classic.cli_target import (
    layer_of_site,
    load,
    plain_table,
    verbosity_option,
    wrapper_of,
)
from channels_classic.exceptions import ChannelsError
from channels_classic.monitor.frame import channel_rows
from channels_classic.monitor.snapshot import Snapshot, snapshot
from channels_classic.utils import printable

#: The columns of channels: title, and the key of a row.
_COLUMNS = {
    "WAITING": "waiting",
    "OLDEST": "oldest",
    "WORKERS": "workers",
    "SENT": "sent",
    "COMPLETED": "completed",
    "FAILED": "failed",
    "RETRIED": "retried",
    "REFUSED": "refused",
    "EXPIRED": "expired",
    "LOST": "lost",
    "DEAD": "dead",
    "DELAYED": "delayed",
}


@click.command(context_settings={"show_default": True, "max_content_width": 100})
@click.argument("path", metavar="MODULE:ATTRIBUTE")
@click.option(
    "--channel",
    "channels",
    metavar="NAME",
    multiple=True,
    help="Tell of this channel, and no others but those so named.  [default: all]",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@verbosity_option
def stats(path: str, channels: tuple[str, ...], as_json: bool) -> None:
    """Print the figures of a site once: channels, servers, workers, dead letters.

    \b
      channels-classic stats project.asgi:channel_layer
      channels-classic stats project.asgi:channel_layer --json | jq .dead
      channels-classic stats project.asgi:channel_layer --json --channel thumbnails

    Counters count from when the first message of a day came; rates are for you to make, of two
    calls. "channels-classic top" shows them. The documentation, under Monitoring, says what each
    key of the JSON object is; keys may be added, none changes.

    The status is 0, or 1 when the bus does not answer.
    """
    found = _found(path, channels)
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        for line in _lines(found):
            click.echo(printable(line))


def _found(path: str, channels: Sequence[str]) -> Snapshot:
    """The snapshot, of ``channels`` alone if there are any; ``ClickException``."""
    with layer_of_site(load(path), path, what="its figures are") as layer:
        try:
            found = snapshot(layer, channels or sorted(wrapper_of(layer).router.channels))
        except ChannelsError as error:
            raise click.ClickException(str(error)) from error
    if channels:
        found["channels"] = [each for each in found["channels"] if each["name"] in channels]
    return found


# As text ----------------------------------------------------------------------------------


def _lines(found: Snapshot) -> Iterator[str]:
    rows = sorted(channel_rows(found, None), key=lambda row: str(row["name"]))
    cells = ((row["name"], *(_cell(row[key]) for key in _COLUMNS.values())) for row in rows)
    yield from plain_table([("CHANNEL", *_COLUMNS), *cells])
    for title, processes, columns in (
        ("SERVER", found["servers"], _SERVER),
        ("WORKER", found["workers"], _WORKER),
    ):
        if processes:
            yield ""
            yield from plain_table(
                [(title, *columns), *(_process(each, columns) for each in processes)]
            )
    yield ""
    yield (
        f"Groups: {found['groups']['total']:,}  Dead letters: {found['dead']:,}  "
        f"Delayed messages: {found['delayed']:,}"
    )


_Cells = dict[str, Callable[[dict[str, Any]], str]]
_SERVER: _Cells = {
    "PID": lambda each: str(each.get("pid", "-")),
    "UPTIME": lambda each: f"{each.get('uptime', 0):,.0f} s",
    "SOCKETS": lambda each: f"{each.get('sockets', 0):,}",
    "REQUESTS": lambda each: f"{each.get('requests', 0):,}",
    "IN HAND": lambda each: f"{each.get('answering', 0):,}",
    "STREAMS": lambda each: f"{each.get('streams', 0):,}",
}
_WORKER: _Cells = {
    "PID": lambda each: str(each.get("pid", "-")),
    "UPTIME": lambda each: f"{each.get('uptime', 0):,.0f} s",
    "THREADS": lambda each: f"{each.get('threads', 0):,}",
    "CHANNELS": lambda each: f"{len(each.get('channels', ())):,}",
    "COMPLETED": lambda each: f"{sum(each.get('completed', {}).values()):,}",
    "RUNNING": lambda each: f"{len(each.get('running', ())):,}",
}


def _process(each: dict[str, Any], columns: _Cells) -> tuple[str, ...]:
    return (str(each.get("host", "-")), *(cell(each) for cell in columns.values()))


def _cell(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:.1f} s"
