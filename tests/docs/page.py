"""What docs/wire.rst says, taken apart: its tables, its Python code and its redis-cli sessions."""

from __future__ import annotations

import functools
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from docutils import nodes
from docutils.core import publish_doctree

PAGE = Path(__file__).resolve().parents[2] / "docs" / "wire.rst"
PROMPT = "redis> "
_ID = re.compile(r"\d{13}-\d+")


@functools.cache
def parsed() -> nodes.document:
    """The page; what docutils warns of is an error."""
    text = PAGE.read_text(encoding="utf-8")
    return publish_doctree(text, settings_overrides={"halt_level": 2, "report_level": 2})


# Tables -----------------------------------------------------------------------------------


def rows(title: str) -> list[list[nodes.entry]]:
    """The cells of the table with this title, without its head."""
    tables = parsed().findall(nodes.table)
    [found] = [each for each in tables if each.next_node(nodes.title).astext() == title]
    return [list(row.findall(nodes.entry)) for row in found.next_node(nodes.tbody).children]


def names(title: str) -> list[str]:
    """What the first column of the table names."""
    return [row[0].next_node(nodes.literal).astext() for row in rows(title)]


def literals(cell: nodes.entry) -> list[str]:
    """What is set as code in a cell."""
    return [each.astext() for each in cell.findall(nodes.literal)]


# Code -------------------------------------------------------------------------------------


def code() -> ModuleType:
    """A module made of all the Python on the page."""
    module = ModuleType("wire")
    for number, block in enumerate(_blocks("python"), 1):
        exec(compile(block, f"{PAGE.name}, Python block {number}", "exec"), vars(module))
    return module


def _blocks(language: str) -> Iterator[str]:
    for block in parsed().findall(nodes.literal_block):
        if language in block["classes"]:
            yield block.astext()


# Sessions ---------------------------------------------------------------------------------


def sessions() -> list[list[tuple[str, list[str]]]]:
    """Each session on the page: commands, with the lines that Redis answers."""
    texts = [block.astext() for block in parsed().findall(nodes.literal_block)]
    return [_session(text) for text in texts if text.startswith(PROMPT)]


def _session(text: str) -> list[tuple[str, list[str]]]:
    commands = text.removeprefix(PROMPT).split(f"\n{PROMPT}")
    return [(command, answer) for command, *answer in (each.split("\n") for each in commands)]


class Terminal:
    """Types the commands of the page into redis-cli.

    The ids on the page stand for those that Redis gives: the same one for the same one.
    """

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._real: dict[str, str] = {}

    def type(self, command: str) -> list[str]:
        """The lines of the answer."""
        done = subprocess.run(
            ["redis-cli", "-s", str(self._socket), "--no-raw"],
            input=self._as_real(command),
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
        return done.stdout.rstrip("\n").split("\n")

    def check(self, command: str, expected: list[str]) -> None:
        """Type the command; an error unless the answer is the one on the page."""
        answer = self.type(command)
        for page_id, real_id in zip(
            _ID.findall("\n".join(expected)), _ID.findall("\n".join(answer)), strict=False
        ):
            self._real[page_id] = real_id
            self._real[_next(page_id)] = _next(real_id)
        assert answer == [self._as_real(line) for line in expected], f"{command}\n" + "\n".join(
            answer
        )

    def _as_real(self, text: str) -> str:
        return _ID.sub(lambda match: self._real.get(match[0], match[0]), text)


def _next(entry_id: str) -> str:
    """The id right after."""
    time, _, number = entry_id.partition("-")
    return f"{time}-{int(number) + 1}"
