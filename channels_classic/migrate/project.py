"""A project as a whole: each file rewritten, what was left alone, and what a person must see."""

from __future__ import annotations

import dataclasses
import re
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

from channels_classic.migrate import python, texts
from channels_classic.migrate.accepts import silent_consumers
from channels_classic.migrate.advice import advise
from channels_classic.migrate.files import encoding_of, local_packages, walk
from channels_classic.migrate.findings import Change, Note, Rewritten
from channels_classic.migrate.scan import Module, parse

#: Whether there may be anything to rewrite in a module, or to say about it. libcst takes its time.
_NAMES = re.compile(
    r"\b(channels(_redis)?|asgi_(redis|ipc|rabbitmq)|daphne)\b"
    r"|\basgiref(\s+import|\s*\.\s*(inmemory|base_layer|conformance))\b"
)
_TRACES = re.compile(r"channels|daphne|websocket\.|http\.disconnect|receive_many|_ordering")
_IMPLICIT = re.compile(rb"""["']IMPLICIT_ACCEPT["']\s*:\s*True""")
_LOCAL_TEXT = (
    "{name} is a module of the project itself: in {folder} `channels` may be that one and not "
    "Channels 1, so nothing there was looked at. Rename it, or migrate by hand"
)


@dataclasses.dataclass
class File:
    """A file that is to change."""

    path: Path
    old: bytes
    new: bytes
    changes: list[Change]


@dataclasses.dataclass
class Report:
    """What the command found; paths begin as the one it was given does."""

    files: list[File] = dataclasses.field(default_factory=list)
    notes: set[tuple[Path, Note]] = dataclasses.field(default_factory=set)
    left_alone: list[tuple[Path, Note]] = dataclasses.field(default_factory=list)

    def leave(self, path: Path, text: str, line: int = 0) -> None:
        """Say why ``path`` is left alone."""
        self.left_alone.append((path, Note(line, text)))


class Project:
    """The project at ``root``, a folder or a file; ``examine`` reads it and writes nothing."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._report = Report()
        self._modules: dict[str, Module] = {}
        self._named: dict[str, Path] = {}
        self._modern = False
        self._implicit = False

    def examine(self) -> Report:
        """Rewrite every file in memory, and say what was found."""
        paths = list(walk(self._root))
        sources = [path for path in paths if path.suffix == ".py"]
        self._named = {self._name(path): path for path in reversed(sources)}
        local = local_packages(self._root, sources)
        paths = [path for path in paths if not any(_shares(path, place) for place in local)]
        self._sources(paths)
        if self._modern:  # known only now, and it tells what `channels` means elsewhere
            self._report = Report()
            self._sources(paths)
        for path in paths:
            if path.suffix != ".py" and texts.is_text(path):
                self._attempt(self._text, path)
        for place in local:
            self._report.leave(place, _LOCAL_TEXT.format(name=place.name, folder=place.parent))
        for module in list(self._modules.values()):
            self._advise(module)
        return self._report

    def _sources(self, paths: list[Path]) -> None:
        for path in paths:
            if path.suffix == ".py":
                self._attempt(self._source, path)

    def _attempt(self, step: Callable[[Path, bytes], None], path: Path) -> None:
        """One file that cannot be read must not keep the others from it."""
        try:
            step(path, path.read_bytes())
        except SyntaxError as error:
            text = f"Python {sys.version_info[0]}.{sys.version_info[1]} cannot read it: {error.msg}"
            self._report.leave(path, text, error.lineno or 0)
        except (OSError, ValueError, RecursionError) as error:
            self._report.leave(path, f"cannot be read: {' '.join(str(error).split())}")

    def _source(self, path: Path, data: bytes) -> None:
        encoding = encoding_of(data)
        text = data.decode(encoding)
        module = Module(path, parse(text), self._name(path))
        self._implicit = self._implicit or _IMPLICIT.search(data) is not None
        if _TRACES.search(text):
            self._modules[module.name] = module
        if not _NAMES.search(text):
            return
        with warnings.catch_warnings():  # literals of old code have escapes that Python now minds
            warnings.simplefilter("ignore")
            rewritten = python.rewrite(text, modern=self._modern)
        self._modern = self._modern or rewritten.modern
        self._keep(path, data, rewritten, rewritten.data.decode().encode(encoding))

    def _text(self, path: Path, data: bytes) -> None:
        rewritten = texts.rewrite(path, data, modern=self._modern)
        self._keep(path, data, rewritten, rewritten.data)

    def _keep(self, path: Path, old: bytes, rewritten: Rewritten, new: bytes) -> None:
        self._report.notes.update((path, note) for note in rewritten.notes)
        if new != old:
            self._report.files.append(File(path, old, new, list(rewritten.changes)))

    def _advise(self, module: Module) -> None:
        self._report.notes.update((module.path, note) for note in advise(module))
        if not self._implicit:
            self._report.notes.update(
                (there.path, note) for there, note in silent_consumers(module, self._find)
            )

    # Modules by name ------------------------------------------------------------------------

    def _name(self, path: Path) -> str:
        """The dotted name of a module, as if all began at the root."""
        folder = self._root if self._root.is_dir() else self._root.parent
        parts = path.relative_to(folder).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def _find(self, name: str) -> Module | None:
        """The module that others import as ``name``, below whatever folder that works in."""
        fits = [each for each in self._named if f".{each}".endswith(f".{name}")] if name else []
        if not fits:
            return None
        full = min(fits, key=len)
        if full not in self._modules:
            path = self._named[full]
            try:
                data = path.read_bytes()
                tree = parse(data.decode(encoding_of(data)))
            except (OSError, SyntaxError, ValueError, RecursionError):
                return None  # it has been left alone, and said so
            self._modules[full] = Module(path, tree, full)
        return self._modules[full]


def _shares(path: Path, place: Path) -> bool:
    """Whether ``path`` imports from where ``place`` is."""
    return path.is_relative_to(place.parent)
