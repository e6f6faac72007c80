"""The coverage list: what each row of the interface of Channels 1.1.8 is shown by.

Each file in ``coverage/`` is a part of it. ``[rows]`` names the tests of a row, as ``file::test``
below ``tests/``, or ``conformance::test`` for a check that every layer passes. ``[differs]`` says
why a row is not as it was. ``tests/seeds`` has such a list of what tutorials teach.
"""

from __future__ import annotations

import ast
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from channels_classic.test.conformance import ConformanceTestCase

TESTS = Path(__file__).parents[1]


def read(folder: Path) -> dict[str, dict[str, Any]]:
    """The parts of the list in ``folder``, by the names of their files."""
    paths = sorted(folder.glob("*.toml"))
    return {path.stem: tomllib.loads(path.read_text()) for path in paths}


_PARTS = read(Path(__file__).parent / "coverage")

#: Part, then row: the tests that show it.
ROWS: dict[str, dict[str, list[str]]] = {part: each["rows"] for part, each in _PARTS.items()}
#: Part, then row: why it is not as it was.
DIFFERS: dict[str, dict[str, str]] = {
    part: each.get("differs", {}) for part, each in _PARTS.items()
}


@cache
def names_in(file: str) -> set[str]:
    """The tests of one file, those in its classes as ``Class::test``."""
    found = set()
    for node in ast.parse((TESTS / file).read_text()).body:
        members = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        functions = (ast.FunctionDef, ast.AsyncFunctionDef)
        found |= {f"{prefix}{each.name}" for each in members if isinstance(each, functions)}
    return found


def is_there(test: str) -> bool:
    """Whether a test that is named is one."""
    file, _, name = test.partition("::")
    if file == "conformance":
        return callable(getattr(ConformanceTestCase, name, None))
    return (TESTS / file).exists() and name in names_in(file)
