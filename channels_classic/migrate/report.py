"""What the command found, as lines of text."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from channels_classic.migrate.findings import Note
from channels_classic.migrate.project import File, Report

_SHOWN = 100


def changes(file: File) -> Iterator[str]:
    """The file, and each of its changes by its line before."""
    yield str(file.path)
    for line, old, new in file.changes:
        yield f"  {line}: {_short(old)} -> {_short(new)}" if new else f"  {line}: - {_short(old)}"


def diff(file: File) -> Iterator[bytes]:
    """The file's unified diff, in its own encoding, for ``git apply -p0``."""
    name = str(file.path).encode("utf-8", "surrogateescape")
    lines = difflib.diff_bytes(
        difflib.unified_diff,
        file.old.splitlines(keepends=True),
        file.new.splitlines(keepends=True),
        name,
        name,
    )
    for line in lines:
        yield line if line.endswith(b"\n") else line + b"\n\\ No newline at end of file\n"


def advice(report: Report) -> Iterator[str]:
    """What a person must look at, each thing once, with all of its places."""
    yield from _section("To look at:", report.notes)
    yield from _section("Left alone:", report.left_alone)


def summary(report: Report, *, written: bool) -> str:
    """One line at the end."""
    number = sum(len(file.changes) for file in report.files)
    if not number:
        return "Nothing to change."
    files = f"{len(report.files)} file{'s' if len(report.files) > 1 else ''}"
    verb = "changed" if written else "would change"
    return f"{files} {verb}, in {number} place{'s' if number > 1 else ''}."


def _section(title: str, notes: Iterable[tuple[Path, Note]]) -> Iterator[str]:
    places: dict[str, dict[Path, list[str]]] = defaultdict(lambda: defaultdict(list))
    for path, (line, text, subject) in sorted(notes):
        place = f"{line} ({subject})" if subject else str(line or "")
        places[text][path].append(place)
    if places:
        yield ""
        yield title
    for text, by_path in places.items():
        yield f"- {text}"
        for path, lines in by_path.items():
            yield f"    {path}:{', '.join(lines)}".removesuffix(":")


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
