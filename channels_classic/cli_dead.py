"""``channels-classic dead``: look at the messages that were given up, and decide about them."""

from __future__ import annotations

import base64
import json
import pprint
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import click

from channels_classic.cli_target import layer_of_site, load, verbosity_option
from channels_classic.exceptions import ChannelFull, ChannelsError
from channels_classic.layers.base import BaseChannelLayer
from channels_classic.layers.traffic import DeadLetter
from channels_classic.utils import printable

#: What is shown of a content and of an error in a table, in characters.
_CONTENT, _ERROR = 10_000, 70

Command = Callable[..., None]


@click.group()
def dead() -> None:
    """Look at the messages that were given up, and decide about them.

    A message becomes a dead letter when its consumer has failed as often as its
    @consumer(max_attempts=…) allows, or has ended its worker three times. Find out why, mend the
    consumer, start the workers again, and put the messages back:

    \b
      channels-classic dead list --layer project.asgi:channel_layer
      channels-classic dead show --layer project.asgi:channel_layer ID
      channels-classic dead requeue --layer project.asgi:channel_layer ID
      channels-classic dead delete --layer project.asgi:channel_layer --all --channel thumbnails

    The status is 0 when all was done, 1 when it was not, as for an ID that does not exist, and 2
    when the command makes no sense.
    """


def _on_layer(command: Command) -> Command:
    """The options that all of the commands have."""
    for option in (
        verbosity_option,
        click.option(
            "--layer",
            "path",
            required=True,
            metavar="MODULE:ATTRIBUTE",
            help="The channel layer, as in project.asgi:channel_layer.",
        ),
    ):
        command = option(command)
    return command


def _on_some(command: Command) -> Command:
    """The arguments and options of commands that do something to dead letters."""
    for option in (
        click.option("-y", "--yes", is_flag=True, help="Do not ask."),
        click.option("--channel", metavar="NAME", help="With --all: only those of this channel."),
        click.option("--all", "all_of_them", is_flag=True, help="All dead letters."),
        click.argument("ids", metavar="[ID]...", nargs=-1),
    ):
        command = option(command)
    return _on_layer(command)


# The commands -----------------------------------------------------------------------------


@dead.command("list")
@_on_layer
@click.option("--channel", metavar="NAME", help="Only those of this channel.")
@click.option(
    "--limit", type=click.IntRange(1), default=50, show_default=True, help="At most so many."
)
@click.option("--json", "as_json", is_flag=True, help="All there is to know, as a JSON array.")
def list_(path: str, channel: str | None, limit: int, as_json: bool) -> None:
    """List the dead letters, oldest first."""
    with _layer(path) as layer:
        found = list(islice(layer.dead_letters(channel), limit + 1))
    letters = found[:limit]
    if as_json:
        click.echo(json.dumps([_as_json(each) for each in letters], indent=2, default=_text_of))
    elif letters:
        _table(letters)
    else:
        click.echo("No dead letters.")
    if len(found) > limit:
        click.echo(f"There are more than {limit}: see --limit.", err=True)


@dead.command()
@_on_layer
@click.argument("id_", metavar="ID")
def show(path: str, id_: str) -> None:
    """Show one dead letter: its content, and why it was given up."""
    with _layer(path) as layer:
        [letter] = _by_id(layer, [id_])
    content = letter.content
    shown = pprint.pformat(content, sort_dicts=False) if content is not None else _UNREADABLE
    if len(shown) > _CONTENT:
        shown = f"{shown[:_CONTENT]}… ({len(shown):,} characters)"
    for label, text in (
        ("ID", letter.id),
        ("Channel", letter.channel),
        ("Attempts", str(letter.attempts)),
        ("When", _when(letter)),
        ("Worker", letter.worker),
        ("Error", letter.error),
    ):
        click.echo(f"{label + ':':<10}{printable(text)}")
    click.echo(f"\nContent:\n{printable(shown)}")
    if letter.traceback:
        click.echo(f"\n{printable(letter.traceback.rstrip())}")


_UNREADABLE = "it cannot be decoded with the keys of this layer"


@dead.command()
@_on_some
def requeue(
    path: str, ids: tuple[str, ...], all_of_them: bool, channel: str | None, yes: bool
) -> None:
    """Put dead letters back on their channels, as if never tried.

    Those that are there already when a channel is full stay there; the others stay dead letters.
    """
    _check(ids, all_of_them, channel)
    with _layer(path) as layer:
        letters = _chosen(layer, ids, channel)
        if _agreed("Put back", letters, yes):
            _each(layer.requeue_dead, letters, "put back")


@dead.command()
@_on_some
def delete(
    path: str, ids: tuple[str, ...], all_of_them: bool, channel: str | None, yes: bool
) -> None:
    """Delete dead letters for good."""
    _check(ids, all_of_them, channel)
    with _layer(path) as layer:
        letters = _chosen(layer, ids, channel)
        if _agreed("Delete", letters, yes):
            _each(layer.delete_dead, letters, "deleted")


# What they have in common -----------------------------------------------------------------


@contextmanager
def _layer(path: str) -> Iterator[BaseChannelLayer]:
    """The layer at ``path``; errors of it are one line."""
    with layer_of_site(load(path), path, what="its dead letters are") as layer:
        try:
            yield layer
        except ChannelsError as error:
            raise click.ClickException(str(error)) from error


def _check(ids: tuple[str, ...], all_of_them: bool, channel: str | None) -> None:
    if bool(ids) == all_of_them:
        raise click.UsageError("name the dead letters by their IDs, or say --all")
    if channel is not None and not all_of_them:
        raise click.UsageError("--channel goes with --all")


def _chosen(layer: BaseChannelLayer, ids: tuple[str, ...], channel: str | None) -> list[DeadLetter]:
    return _by_id(layer, ids) if ids else list(layer.dead_letters(channel))


def _by_id(layer: BaseChannelLayer, ids: Iterable[str]) -> list[DeadLetter]:
    """In the order of ``ids``, each once; ``ClickException`` unless all are there."""
    wanted = dict.fromkeys(ids)
    found = {letter.id: letter for letter in layer.dead_letters() if letter.id in wanted}
    if missing := [id_ for id_ in wanted if id_ not in found]:
        raise click.ClickException(f"no dead letter has the ID {' or '.join(missing)}")
    return [found[id_] for id_ in wanted]


def _agreed(what: str, letters: list[DeadLetter], yes: bool) -> bool:
    """Whether there is something to do, and it may be done."""
    if not letters:
        click.echo("No dead letters.")
        return False
    if not yes:
        channels = ", ".join(sorted({printable(letter.channel) for letter in letters}))
        click.confirm(f"{what} {_number(letters)} of {channels}?", abort=True)
    return True


def _each(
    verb: Callable[[Iterable[DeadLetter]], int], letters: list[DeadLetter], done: str
) -> None:
    """One after the other, so that it is known how many were done when it cannot go on."""
    number = 0
    try:
        for letter in letters:
            number += verb([letter])
    except ChannelFull as error:
        raise click.ClickException(f"{number} of {_number(letters)} {done}: {error}") from error
    click.echo(f"{number} of {_number(letters)} {done}.")
    if number < len(letters):
        raise click.ClickException("the others were gone: somebody else has dealt with them")


def _number(letters: list[DeadLetter]) -> str:
    return f"{len(letters)} dead letter{'s' if len(letters) > 1 else ''}"


# How they are shown -----------------------------------------------------------------------


def _table(letters: list[DeadLetter]) -> None:
    rows = [("ID", "CHANNEL", "ATTEMPTS", "WHEN", "ERROR")]
    rows += [
        (each.id, printable(each.channel), str(each.attempts), _when(each), _line(each.error))
        for each in letters
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def _when(letter: DeadLetter) -> str:
    return f"{datetime.fromtimestamp(letter.died).astimezone():%Y-%m-%d %H:%M:%S%z}"


def _line(error: str) -> str:
    text = printable(error.partition("\n")[0])
    return text if len(text) <= _ERROR else f"{text[: _ERROR - 1]}…"


def _as_json(letter: DeadLetter) -> dict[str, Any]:
    died = datetime.fromtimestamp(letter.died, UTC)
    return {**letter._asdict(), "died": died.isoformat(timespec="milliseconds")}


def _text_of(value: Any) -> str:
    """What JSON does not have: bytes, as base64."""
    return base64.b64encode(value).decode("ascii")
