"""One frame of the live page: of a snapshot, what is to be shown, in bounds. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pprint import pformat
from typing import Any

from channels_classic.layers.counters import Counter
from channels_classic.layers.traffic import DeadLetter
from channels_classic.monitor.limits import Limits
from channels_classic.monitor.rates import Flow, Rates, Snapshot

Row = dict[str, Any]

#: The counters with a column of their own, and those that the rates are of; the others are shown
#: where they are not 0.
_COLUMNS = {
    "sent": Counter.SENT,
    "refused": Counter.FULL,
    "expired": Counter.EXPIRED,
    "failed": Counter.FAILED,
    "retried": Counter.RETRIED,
    "dead": Counter.DEAD,
    "lost": Counter.LOST,
}
_SHOWN = {*_COLUMNS.values(), Counter.COMPLETED}
_STILL = Flow(0, 0, 0)
#: Characters of a name, and of an error in a row.
_NAME, _ERROR = 200, 300
#: What cannot be shown of a dead letter.
UNREADABLE = "It cannot be decoded with the keys of this layer."


def frame(
    snapshot: Snapshot,
    rates: Rates | None,
    letters: Sequence[Row],
    delayed: Sequence[Row],
    limits: Limits,
) -> dict[str, Any]:
    """What the page shows of ``snapshot``; each list has its most important rows."""
    return {
        "time": snapshot["time"],
        "channels": channel_rows(snapshot, rates, limits.channels),
        "channels_total": len(snapshot["channels"]),
        "groups": snapshot["groups"]["largest"][: limits.groups],
        "groups_total": snapshot["groups"]["total"],
        "servers": _server_rows(snapshot, rates)[: limits.servers],
        "servers_total": len(snapshot["servers"]),
        "workers": _worker_rows(snapshot, limits)[: limits.workers],
        "workers_total": len(snapshot["workers"]),
        "letters": list(letters[: limits.dead]),
        "letters_total": snapshot["dead"],
        "delayed": list(delayed[: limits.delayed]),
        "delayed_total": snapshot["delayed"],
        "total": totals(snapshot, rates),
    }


def totals(snapshot: Snapshot, rates: Rates | None) -> Row:
    """The figures of the whole site, as a point of the chart has them, and some more."""
    channels, servers = snapshot["channels"], snapshot["servers"]
    return {
        **_flow(rates and rates.total),
        "waiting": sum(each["waiting"] for each in channels),
        "oldest": round(
            max((each["oldest"] for each in channels if each["waiting"]), default=0), 1
        ),
        "sockets": sum(each.get("sockets", 0) for each in servers),
        "streams": sum(each.get("streams", 0) for each in servers),
        "running": sum(len(each.get("running", ())) for each in snapshot["workers"]),
    }


# Channels ---------------------------------------------------------------------------------


def channel_rows(
    snapshot: Snapshot, rates: Rates | None, most: int | None = None, text: str = ""
) -> list[Row]:
    """A row for each channel with ``text`` in its name, or for ``most`` of them: the busiest first.

    There may be thousands of them: rows are made of those that are shown.
    """
    flows = {} if rates is None else rates.channels
    found = [each for each in snapshot["channels"] if text in each["name"].casefold()]
    found.sort(key=lambda each: _activity(each, flows.get(each["name"], _STILL)))
    return [_channel_row(each, flows.get(each["name"])) for each in found[:most]]


def _activity(channel: Mapping[str, Any], flow: Flow) -> tuple[float, float, str]:
    """What moves or waits comes first, then what has moved today, then by name."""
    past = channel["counts"].get(Counter.SENT, 0) + channel["completed"] + channel["delayed"]
    return -(channel["waiting"] + sum(flow)), -past, channel["name"]


def _channel_row(channel: Mapping[str, Any], flow: Flow | None) -> Row:
    counts = channel["counts"]
    return {
        "name": channel["name"],
        "waiting": channel["waiting"],
        "oldest": round(channel["oldest"], 1) if channel["waiting"] else None,
        "workers": channel["workers"],
        **_flow(flow),
        "completed": channel["completed"],
        **{name: counts.get(counter, 0) for name, counter in _COLUMNS.items()},
        "delayed": channel["delayed"],
        "next_due": channel["next_due"],
        "more": {
            _words(key): number for key, number in counts.items() if number and key not in _SHOWN
        },
    }


def _flow(flow: Flow | None) -> Row:
    """The rates of a row, which are not named as the counts are."""
    sent, completed, failed = flow or (None, None, None)
    return {"in": _rounded(sent), "out": _rounded(completed), "failing": _rounded(failed)}


def _rounded(rate: float | None) -> float | None:
    return None if rate is None else round(rate, 2)


def _words(key: str) -> str:
    return key.removesuffix("_count").replace("_", " ")


# Processes --------------------------------------------------------------------------------


# Each process says of itself what it does: one of an older release may say less.


def _server_rows(snapshot: Snapshot, rates: Rates | None) -> list[Row]:
    per_second = {} if rates is None else rates.requests
    rows = [
        {
            **_process(each),
            **{key: each.get(key, 0) for key in ("sockets", "requests", "answering", "streams")},
            "rate": _rounded(per_second.get(each["name"])),
        }
        for each in snapshot["servers"]
    ]
    return sorted(rows, key=lambda row: (-row["sockets"], row["name"]))


def _worker_rows(snapshot: Snapshot, limits: Limits) -> list[Row]:
    """The worker with the consumer that runs longest first."""
    rows = [_worker_row(each, limits) for each in snapshot["workers"]]
    return sorted(rows, key=lambda row: (-_longest(row["running"]), row["name"]))


def _longest(running: Sequence[Row]) -> float:
    return max((each["seconds"] for each in running), default=0)


def _worker_row(worker: Row, limits: Limits) -> Row:
    running = sorted(worker.get("running", ()), key=lambda each: -each["seconds"])
    progress = worker.get("progress")
    return {
        **_process(worker),
        "threads": worker.get("threads", 0),
        "channels": len(worker.get("channels", ())),
        "completed": sum(worker.get("completed", {}).values()),
        "progress": None if progress is None else round(progress, 1),
        "running": [
            {**each, "seconds": round(each["seconds"], 1)} for each in running[: limits.running]
        ],
        "running_total": len(running),
    }


def _process(report: Row) -> Row:
    return {
        **{key: str(report.get(key, "?"))[:_NAME] for key in ("name", "host", "pid")},
        "uptime": round(report.get("uptime", 0)),
    }


# Dead letters and delayed messages ----------------------------------------------------------


def letter_row(letter: DeadLetter) -> Row:
    """What the list has of a dead letter."""
    return {
        "id": letter.id,
        "channel": letter.channel[:_NAME],
        "attempts": letter.attempts,
        "died": letter.died,
        "when": f"{datetime.fromtimestamp(letter.died, UTC):%Y-%m-%d %H:%M:%S} UTC",
        "worker": letter.worker[:_NAME],
        "error": _cut(letter.error.partition("\n")[0], _ERROR),
    }


def letter_in_full(letter: DeadLetter, limits: Limits) -> Row:
    """All there is to show of a dead letter."""
    return {
        **letter_row(letter),
        "content": shown_content(letter.content, limits.content),
        "traceback": letter.traceback[-limits.traceback :],
    }


def shown_content(content: Mapping[str, Any] | None, most: int) -> str:
    """A message's content as text, cut after ``most`` characters."""
    if content is None:
        return UNREADABLE
    shortened = {str(key)[:_NAME]: _short(value, most) for key, value in content.items()}
    return _cut(pformat(shortened, sort_dicts=False, width=88), most)


def _short(value: Any, most: int) -> Any:
    """Long values are cut before they are formatted, which takes its time."""
    return value[:most] if isinstance(value, (str, bytes, list, tuple)) else value


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}… ({len(text):,} characters)"


def matching(rows: Iterable[Row], text: str) -> list[Row]:
    """The dead letters in whose channel or error is ``text``, in small letters."""
    return [row for row in rows if text in f"{row['channel']}\n{row['error']}".casefold()]
