"""The coverage list: what each row of the interface of Channels 1.1.8 is shown by.

Each file in ``coverage/`` is a part of it. ``[rows]`` names the tests of a row, as ``file::test``
below ``tests/``, or ``conformance::test`` for a check that every layer passes. ``[differs]`` says
why a row is not as it was.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

TESTS = Path(__file__).parents[1]
_PARTS = {
    path.stem: tomllib.loads(path.read_text())
    for path in sorted((Path(__file__).parent / "coverage").glob("*.toml"))
}

#: Part, then row: the tests that show it.
ROWS: dict[str, dict[str, list[str]]] = {part: each["rows"] for part, each in _PARTS.items()}
#: Part, then row: why it is not as it was.
DIFFERS: dict[str, dict[str, str]] = {
    part: each.get("differs", {}) for part, each in _PARTS.items()
}
