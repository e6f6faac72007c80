"""The docs as Sphinx makes them, once for all tests of a run, which may be several processes."""

from __future__ import annotations

import fcntl
import functools
import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from docutils import nodes

DOCS = Path(__file__).resolve().parents[2] / "docs"


class Built(NamedTuple):
    """What Sphinx has made, and what it had to say against it."""

    folder: Path
    status: int
    output: str


_shared: Path | None = None


def share(folder: Path) -> None:
    """The pages are to be in ``folder``, which all processes of the run share."""
    global _shared  # noqa: PLW0603
    _shared = folder


@functools.cache
def site() -> Built:
    """The pages, built with warnings as errors; those that could be read are there in any case."""
    assert _shared, "nobody has said where"
    target, result = _shared / "docs", _shared / "docs.json"
    with (_shared / "docs.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the others wait for the first
        if not result.exists():
            result.write_text(json.dumps(_build(target)))
    return Built(target, *json.loads(result.read_text()))


def _build(target: Path) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", str(DOCS), str(target)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    return done.returncode, done.stdout


def doctree(page: str) -> nodes.document:
    """The page as Sphinx has read it, with what autodoc has put in."""
    stored = site().folder / ".doctrees" / f"{page}.doctree"
    document: nodes.document = pickle.loads(stored.read_bytes())
    return document
