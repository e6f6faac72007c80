"""A frame of the live page as a terminal shows it; needs rich, of the extra ``top``."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from channels_classic.monitor.frame import Row
from channels_classic.utils import printable

#: What channels may be sorted by: the key that is pressed, its name and the order.
ORDERS: dict[str, tuple[str, Callable[[Row], Any]]] = {
    "a": ("activity", lambda row: 0),
    "n": ("name", lambda row: row["name"]),
    "w": ("waiting", lambda row: -row["waiting"]),
    "i": ("in", lambda row: -(row["in"] or 0)),
    "o": ("out", lambda row: -(row["out"] or 0)),
    "f": ("failed", lambda row: -row["failed"]),
}
#: The columns of channels: title, what it shows, and how it looks when that is not 0.
_CHANNEL: list[tuple[str, str, str]] = [
    ("WAITING", "waiting", "bold"),
    ("OLDEST", "oldest", ""),
    ("IN/S", "in", ""),
    ("OUT/S", "out", ""),
    ("WORKERS", "workers", ""),
    ("SENT", "sent", ""),
    ("COMPLETED", "completed", ""),
    ("FAILED", "failed", "red"),
    ("RETRIED", "retried", "yellow"),
    ("REFUSED", "refused", "red"),
    ("EXPIRED", "expired", "red"),
    ("LOST", "lost", "red"),
    ("DEAD", "dead", "red"),
    ("DELAYED", "delayed", ""),
]
#: In a narrow terminal the last of these columns goes first.
_LESS_NEEDED = ["LOST", "EXPIRED", "REFUSED", "WORKERS", "COMPLETED", "SENT", "RETRIED", "OLDEST"]
#: Columns and spaces that a table of all of them takes, beside the name.
_WIDTH = 9
#: Lines that are neither of channels nor of the lists below: the head, the totals, the foot, and
#: the last one, which a terminal needs empty.
_OTHER_LINES = 4


def screen(
    frame: dict[str, Any],
    *,
    name: str,
    order: str = "a",
    width: int,
    height: int,
    foot: str = "",
) -> Group:
    """The frame in ``width`` columns and ``height`` lines, of the layer ``name``."""
    lists = [_workers(frame), _servers(frame), _letters(frame)]
    for most in (10, 5, 3, 1, 0):  # channels have half of the lines at least
        tables = [_table(*each, most=most) for each in lists if each[1] and most]
        below = sum(len(each.rows) + 2 for each in tables)
        if below <= (height - _OTHER_LINES) // 2:
            break
    channels = sorted(frame["channels"], key=ORDERS[order][1])
    room = max(1, height - _OTHER_LINES - below - 1)
    parts: list[RenderableType] = [
        _head(frame, name),
        _totals(frame),
        _channels(channels[:room], width),
    ]
    for each in tables:
        parts += [Text(), each]
    if foot:
        parts.append(_line((foot, "reverse")))
    return Group(*parts)


def _head(frame: dict[str, Any], name: str) -> Text:
    at = time.strftime("%H:%M:%S", time.localtime(frame["time"]))
    return _line(("channels-classic top", "bold"), f"  {name}  {at}")


def _totals(frame: dict[str, Any]) -> Text:
    """What is bad comes first: a narrow terminal cuts the end."""
    total, letters = frame["total"], frame["letters_total"]
    return _line(
        f"in {rate(total['in'])}/s  out {rate(total['out'])}/s  ",
        (f"failing {rate(total['failing'])}/s", "red" if total["failing"] else ""),
        "  ",
        (f"dead {letters:,}", "red" if letters else ""),
        f"  waiting {total['waiting']:,}  running {total['running']:,}"
        f"  sockets {total['sockets']:,}  delayed {frame['delayed_total']:,}"
        f"  groups {frame['groups_total']:,}  channels {frame['channels_total']:,}",
    )


def _line(*parts: str | tuple[str, str]) -> Text:
    """One line of the terminal, cut where it ends."""
    text = Text.assemble(*parts)
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _channels(rows: Sequence[Row], width: int) -> Table:
    shown = list(_CHANNEL)
    for title in _LESS_NEEDED:
        if 20 + _WIDTH * len(shown) > width:
            shown = [each for each in shown if each[0] != title]
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("CHANNEL", no_wrap=True, overflow="ellipsis", min_width=10)
    for title, _, _ in shown:
        table.add_column(title, justify="right", no_wrap=True)
    for row in rows:
        cells = (_cell(row, key, style) for _, key, style in shown)
        table.add_row(Text(printable(row["name"])), *cells)
    return table


def _cell(row: Row, key: str, style: str) -> Text:
    value = row[key]
    if key in ("in", "out"):
        return Text(rate(value), "" if value else "dim")
    if key == "oldest":
        return Text(duration(value))
    if key == "workers":
        return Text(f"{value:,}", "" if value else "yellow")
    return Text(f"{value:,}", style if value else "dim")


_List = tuple[str, list[list[Text]], int]


def _workers(frame: dict[str, Any]) -> _List:
    rows = []
    for worker in frame["workers"]:
        running = worker["running"] or [None]
        for each in running:
            what = (
                f"{duration(each['seconds'])}  {each['channel']}  {each['consumer']}"
                if each
                else "idle"
            )
            rows.append(_texts(_where(worker), what))
    return "WORKERS", rows, frame["workers_total"]


def _servers(frame: dict[str, Any]) -> _List:
    rows = [
        _texts(
            _where(each),
            f"{each['sockets']:,} sockets  {rate(each['rate'])} requests/s  "
            f"{each['answering']:,} in hand  {each['streams']:,} streams  "
            f"up {duration(each['uptime'])}",
        )
        for each in frame["servers"]
    ]
    return "SERVERS", rows, frame["servers_total"]


def _letters(frame: dict[str, Any]) -> _List:
    rows = [_texts(each["channel"], each["error"] or "given up") for each in frame["letters"]]
    return "DEAD LETTERS", rows, frame["letters_total"]


def _table(title: str, rows: list[list[Text]], total: int, *, most: int) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column(f"{title} {total:,}", no_wrap=True, overflow="ellipsis")
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    for row in rows[:most]:
        table.add_row(*row)
    return table


def _where(process: Row) -> str:
    return f"{process['host']} · {process['pid']}"


def _texts(*texts: str) -> list[Text]:
    return [Text(printable(each)) for each in texts]


def rate(value: float | None) -> str:
    """A number of things in a second."""
    if value is None:
        return "-"
    return f"{value:,.1f}" if 0 < value < 100 else f"{value:,.0f}"


def duration(seconds: float | None) -> str:
    """Seconds, minutes or hours, short."""
    if seconds is None:
        return "-"
    for size, unit, next_size in ((1, "s", 60), (60, "min", 3600), (3600, "h", 86400)):
        if seconds < next_size:
            number = seconds / size
            return f"{number:.{1 if number < 10 else 0}f} {unit}"
    return f"{seconds / 86400:.0f} d"
