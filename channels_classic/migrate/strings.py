"""Texts in Python code that are names: apps, dotted paths, loggers, static files."""

from __future__ import annotations

import re
from collections.abc import Iterator

import libcst as cst

from channels_classic.migrate.findings import Edit, Note, words
from channels_classic.migrate.names import (
    BACKENDS,
    BRIDGE,
    CLASSIC,
    MODERN_TEXT,
    Kind,
    look_up,
)
from channels_classic.migrate.syntax import Syntax, dotted, text_of

_WORTH_IT = re.compile("channels|asgi|daphne")
_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
#: Functions whose argument is the name of a module or of an app.
_TAKE_MODULES = words("import_module importorskip find_spec __import__ is_installed get_app_config")
#: Those that take names of things in modules, too, or of any attribute.
_TAKE_PATHS = _TAKE_MODULES | {"import_string", "patch", "setattr", "delattr"}
#: Where the label of an app stands, and not its path.
_TAKE_LABELS = words(
    "get_model get_models get_app_config get_registered_model call_command dependencies "
    "run_before MIGRATION_MODULES app_label"
)
_DELAY = "channels.delay"
DELAY_TEXT = (
    "the app channels_classic.delay has the label channels_classic_delay and a table of its own: "
    "run `manage.py migrate`; what waits in the table of channels.delay is not carried over"
)
MIXED_TEXT = (
    "'channels' is left as it is, for other files have names of Channels 2+: decide which it is"
)
LOGGERS_TEXT = (
    "daphne is not used any more, nor are its loggers: those of the server are "
    "'channels_classic.server' and 'uvicorn.error'"
)


class Strings(cst.CSTVisitor):
    """Collects the edits of texts; ``taken`` are those that another visitor has dealt with."""

    def __init__(self, syntax: Syntax, taken: set[cst.CSTNode], *, modern: bool) -> None:
        self._syntax = syntax
        self._taken = taken
        self._is_modern = modern  # the project
        self.edits: list[Edit] = []
        self.notes: list[Note] = []
        self.modern = False

    def visit_SimpleString(self, node: cst.SimpleString) -> None:
        """One literal."""
        if node in self._taken or not _WORTH_IT.search(node.value):
            return
        text = text_of(node) or ""
        if BRIDGE[0] in text:
            self._replace(node, *BRIDGE)
        elif text in BACKENDS:
            self._replace(node, text, BACKENDS[text])
        elif text == "django.channels":
            self._replace(node, text, "channels_classic")
        elif text.startswith("daphne.") and _PATH.fullmatch(text):
            self._note(node, LOGGERS_TEXT)
        elif text.startswith(("channels", "asgi")) and _PATH.fullmatch(text):
            self._path(node, text)

    def _path(self, node: cst.SimpleString, text: str) -> None:
        found = look_up(text)
        if found.kind is Kind.MODERN:
            self.modern = True
            self._note(node, MODERN_TEXT)
        elif found.kind is Kind.UNKNOWN and text.endswith("ChannelLayer"):
            self._note(node, found.note)
        elif found.kind is Kind.CLASSIC:
            around = set(self._words(node))
            if text == _DELAY:
                self._delay(node, around)
            elif _is_certain(text, known=found.known) or _is_meant(text, around):
                if text == "channels" and self._is_modern:
                    self._note(node, MIXED_TEXT)
                else:
                    self._replace(node, text, found.new)
            elif "." in text:
                self._note(node, f"{text!r} may be a name of Channels 1: it is left as it is")

    def _delay(self, node: cst.SimpleString, around: set[str]) -> None:
        is_label = around & _TAKE_LABELS
        self._replace(
            node, _DELAY, "channels_classic_delay" if is_label else "channels_classic.delay"
        )
        self._note(node, DELAY_TEXT)

    def _words(self, node: cst.CSTNode) -> Iterator[str]:
        """What the literal is for: names of targets, functions, arguments and keys around it."""
        for child, parent in self._syntax.around(node):
            for named in _names(parent, child):
                yield from dotted(named).split(".")
                if isinstance(named, cst.Subscript):
                    yield from dotted(named.value).split(".")
                yield text_of(named) or ""

    def _replace(self, node: cst.SimpleString, old: str, new: str) -> None:
        """The quotes, the prefix and what is around ``old`` stay."""
        raw = node.value
        if old in raw:
            self.edits.append(self._syntax.replace(node, raw.replace(old, new)))

    def _note(self, node: cst.CSTNode, text: str) -> None:
        self.notes.append(self._syntax.note(node, text))


def _names(parent: cst.CSTNode, child: cst.CSTNode) -> list[cst.CSTNode | None]:
    """The nodes that say what ``child`` is in ``parent``."""
    match parent:
        case cst.Assign():
            return [target.target for target in parent.targets]
        case cst.AnnAssign() | cst.AugAssign():
            return [parent.target]
        case cst.Arg():
            return [parent.keyword]
        case cst.Call():
            return [parent.func]
        case cst.DictElement() if child is parent.value:
            return [parent.key]
        case cst.Comparison():
            return [parent.left, *(each.comparator for each in parent.comparisons)]
    return []


def _is_certain(text: str, *, known: bool) -> bool:
    """Whether it cannot but be a path: three parts that Channels 1 had, or a class of its root."""
    name = text.rpartition(".")[2]
    if text.count(".") > 1:
        return known
    return "." in text and name in CLASSIC["channels"] and name not in ("route", "include")


def _is_meant(text: str, around: set[str]) -> bool:
    """Whether what is around it takes the names of apps or modules."""
    takes = _TAKE_PATHS if "." in text else _TAKE_MODULES
    return bool(around & takes) or any(word.endswith("APPS") for word in around)
