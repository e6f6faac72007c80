"""What the command finds in a file: edits to make, and notes for a person."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

_NEWLINE = re.compile(rb"\r\n|\r|\n")


class Edit(NamedTuple):
    """The bytes from ``start`` to ``end`` give way to ``new``."""

    start: int
    end: int
    new: bytes


class Change(NamedTuple):
    """What was changed, for the report."""

    line: int
    old: str
    new: str


class Note(NamedTuple):
    """What a person must look at; notes of the same text are shown together."""

    line: int  #: 0 for the file as a whole
    text: str
    subject: str = ""  #: what on that line


class Rewritten(NamedTuple):
    """A text after its edits, what they were, and what is left to a person."""

    data: bytes
    changes: Sequence[Change] = ()
    notes: Sequence[Note] = ()
    modern: bool = False  #: whether there are names of Channels 2 or later


def apply(data: bytes, edits: Iterable[Edit]) -> tuple[bytes, list[Change]]:
    """``data`` with all ``edits``, of which none may overlap, and what they were by line."""
    parts, changes, done, line = [], [], 0, 1
    for edit in sorted(set(edits)):
        old = data[edit.start : edit.end]
        between = data[done : edit.start]
        line += count_lines(between)
        parts += [between, edit.new]
        changes.append(Change(line, shown(old), shown(edit.new)))
        line += count_lines(old)
        done = edit.end
    return b"".join([*parts, data[done:]]), changes


def count_lines(data: bytes) -> int:
    """How many lines end within ``data``."""
    return len(_NEWLINE.findall(data))


def line_at(data: bytes, offset: int) -> int:
    """The number of the line that holds ``offset``, the first being 1."""
    return count_lines(data[:offset]) + 1


def shown(data: bytes) -> str:
    """``data`` in one line of text."""
    return " ".join(data.decode("utf-8", "replace").split())


def words(text: str) -> frozenset[str]:
    """A table of words, for the constants of these modules."""
    return frozenset(text.split())
