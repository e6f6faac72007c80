"""``channels-classic health``: whether the bus answers, and messages get done."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import click

from channels_classic.asgi import is_local_only
from channels_classic.cli_target import layer_of, load, plain_table, verbosity_option, wrapper_of
from channels_classic.exceptions import ChannelsError, LayerUnavailable
from channels_classic.layers.base import BaseChannelLayer
from channels_classic.layers.traffic import Load
from channels_classic.progress import Progress, Stall
from channels_classic.server.options import ServerOptions
from channels_classic.server.vitals import CHANNELS
from channels_classic.utils import name_that_thing

#: The longest pause between two looks at the bus, in seconds; workers report once a second.
PAUSE = 0.5
#: What is read of the answer of a server, in bytes.
_ANSWER = 64 * 1024
#: A probe is never asked through the proxy that the environment names.
_open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


class Findings(NamedTuple):
    """What there was to see: the first loads and the last, and what is wrong."""

    before: dict[str, Load]
    after: dict[str, Load]
    #: Seconds; the longest of all looks.
    round_trip: float
    stalls: list[Stall]
    problems: list[str]

    @property
    def reasons(self) -> list[str]:
        """Why it is not well, if it is not."""
        return [*self.problems, *map(str, self.stalls)]

    def completed(self, channel: str) -> int:
        """Messages that were completed meanwhile; counters begin anew each day."""
        before, after = self.before[channel].completed, self.after[channel].completed
        return after - before if after >= before else after


def _seconds(flag: str, default: float, text: str) -> Callable[[Any], Any]:
    above_zero = click.FloatRange(0, min_open=True)
    return click.option(
        flag, type=above_zero, default=default, show_default=f"{default:g}", help=text
    )


@click.command(context_settings={"show_default": True, "max_content_width": 100})
@click.argument("path", metavar="[MODULE:ATTRIBUTE]", required=False)
@click.option(
    "--channel",
    "channels",
    metavar="NAME",
    multiple=True,
    help="Look at this channel, and no others but those so named.  [default: all with a route]",
)
@_seconds(
    "--stalled-after",
    ServerOptions.stalled_after,
    "Seconds without progress on a channel with messages that are a failure. More than your "
    "longest consumer takes, if messages may have to wait for it.",
)
@_seconds(
    "--slow-bus", ServerOptions.slow_bus, "Seconds of a round trip to the bus that are a failure."
)
@_seconds(
    "--timeout", 5.0, "Seconds in which the bus, or the server at the URL, must answer at all."
)
@click.option("--url", help="Ask this probe of a running server instead of the bus.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@verbosity_option
def health(path: str | None, url: str | None, as_json: bool, **options: Any) -> None:
    """Tell whether the bus answers and messages get done; the status is 0 if so, else 1.

    \b
    Of a site, through its bus:
      channels-classic health project.asgi:channel_layer
    Of one server, by the probe that a load balancer asks, too:
      channels-classic health --url http://127.0.0.1:8000/-/readyz

    A channel stalls when messages wait on it and none is completed for --stalled-after seconds:
    its workers hang, are too few for what they do, or are not there. When no message waits, or one
    is completed everywhere, the command ends at once; it takes that time only when it fails. Give
    it more: timeoutSeconds of a Kubernetes exec probe, TimeoutStartSec of a systemd unit.
    Delayed messages do not wait.
    """
    if (path is None) == (url is None):
        raise click.UsageError("give MODULE:ATTRIBUTE or --url, one of them")
    if url is not None:
        shown, lines, reasons = _of_server(url, options["timeout"])
    else:
        shown, lines, reasons = _of_bus(str(path), **options)
    if as_json:
        click.echo(json.dumps({"healthy": not reasons, "reasons": reasons, **shown}, indent=2))
    else:
        for line in (*lines, *(f"Failing: {reason}" for reason in reasons)):
            click.echo(line)
        if not reasons:
            click.echo("Healthy.")
    if reasons:
        raise click.exceptions.Exit(1)


_Report = tuple[dict[str, Any], list[str], list[str]]


# Through the bus --------------------------------------------------------------------------


def _of_bus(path: str, *, channels: tuple[str, ...], **options: float) -> _Report:
    """What is shown as JSON, what as lines, and what is wrong."""
    layer = layer_of(load(path), path)
    if is_local_only(type(layer)):
        raise click.ClickException(
            f"{name_that_thing(layer)} carries messages within one process: only that process "
            "can tell; ask its server with --url"
        )
    names = list(dict.fromkeys(channels)) or _routed(layer)
    try:
        found = asyncio.run(look(layer, names, **options))
    except ChannelsError as error:
        raise click.ClickException(str(error)) from error
    finally:
        layer.close()
    if not (found.after or found.problems):
        raise click.ClickException(
            f"{name_that_thing(layer)} cannot tell what waits on its channels"
        )
    return _as_json(found), list(_as_lines(found)), found.reasons


def _routed(layer: BaseChannelLayer) -> list[str]:
    """The channels that the project's own routing names for ``layer``."""
    return sorted(wrapper_of(layer).router.channels) or list(CHANNELS)  # nobody has loaded it


async def look(
    layer: BaseChannelLayer,
    channels: list[str],
    *,
    stalled_after: float,
    slow_bus: float,
    timeout: float,
) -> Findings:
    """Look at ``channels`` until each of them has nothing to do, moves or stalls.

    Raises what ``BaseChannelLayer.loads`` does, but for ``LayerUnavailable``.
    """
    progress = Progress(stalled_after)
    seen: list[dict[str, Load]] = []
    round_trip, problems = 0.0, list[str]()
    try:
        while not seen or progress.undecided():
            if seen:
                await asyncio.sleep(min(PAUSE, stalled_after / 4))
            began = time.monotonic()
            async with asyncio.timeout(timeout):
                seen = [*seen[:1], await layer.loads(channels)]
            round_trip = max(round_trip, time.monotonic() - began)
            progress.note(seen[-1], now=time.monotonic())
            if round_trip >= slow_bus:
                problems.append(f"the bus takes {round_trip:.1f} s to answer")
                break
    except LayerUnavailable as error:
        problems.append(f"the bus does not answer: {error}")
    except TimeoutError:
        problems.append(f"the bus does not answer within {timeout:g} s")
    finally:
        await layer.close_async()
    if not seen:
        return Findings({}, {}, round_trip, [], problems)
    return Findings(seen[0], seen[-1], round_trip, progress.stalls(), problems)


def _as_json(found: Findings) -> dict[str, Any]:
    stalled = {stall.channel for stall in found.stalls}
    return {
        "round_trip": round(found.round_trip, 6),
        "channels": {
            name: {
                "waiting": load.waiting,
                "oldest": round(load.oldest, 3),
                "completed": found.completed(name),
                "workers": load.workers,
                "stalled": name in stalled,
            }
            for name, load in found.after.items()
        },
    }


def _as_lines(found: Findings) -> Iterator[str]:
    rows = [("CHANNEL", "WAITING", "OLDEST", "COMPLETED", "WORKERS")]
    rows += [
        (
            name,
            f"{load.waiting:,}",
            f"{load.oldest:.1f} s" if load.waiting else "-",
            f"{found.completed(name):,}",
            f"{load.workers:,}",
        )
        for name, load in found.after.items()
    ]
    if found.after:
        yield from plain_table(rows)
        yield f"Round trip to the bus: {found.round_trip * 1000:.1f} ms"


# Of a running server ----------------------------------------------------------------------


def _of_server(url: str, timeout: float) -> _Report:
    if not url.startswith(("http://", "https://")):
        raise click.UsageError(f"{url!r} is not the URL of a probe, as in http://127.0.0.1:8000/…")
    began = time.monotonic()
    try:
        with _open(url, timeout=timeout) as answer:
            status, body = answer.status, answer.read(_ANSWER)
    except urllib.error.HTTPError as error:
        with error:
            status, body = error.code, error.read(_ANSWER)
    except (OSError, ValueError) as error:  # of which URLError is one
        reason = getattr(error, "reason", None) or error
        return {}, [], [f"no answer from {url}: {reason}"]
    took = time.monotonic() - began
    lines = [f"{url} answers {status} after {took * 1000:.1f} ms"]
    reasons = [] if status == 200 else _reasons(body) or [f"the server answers {status}"]
    return {"answer": status, "took": round(took, 6)}, lines, reasons


def _reasons(body: bytes) -> list[str]:
    """Those that a probe of ours gives."""
    try:
        return [str(reason) for reason in json.loads(body)["reasons"]]
    except (ValueError, TypeError, KeyError):
        return []
