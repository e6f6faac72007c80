"""The docs as Sphinx makes them, once for all tests of a run."""

from __future__ import annotations

import atexit
import functools
import pickle
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from docutils import nodes

DOCS = Path(__file__).resolve().parents[2] / "docs"


class Built(NamedTuple):
    """What Sphinx has made, and what it had to say against it."""

    folder: Path
    status: int
    output: str


@functools.cache
def site() -> Built:
    """The pages, built with warnings as errors; those that could be read are there in any case."""
    target = Path(tempfile.mkdtemp(prefix="channels-docs-"))
    atexit.register(shutil.rmtree, target)
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", str(DOCS), str(target)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    return Built(target, done.returncode, done.stdout)


def doctree(page: str) -> nodes.document:
    """The page as Sphinx has read it, with what autodoc has put in."""
    stored = site().folder / ".doctrees" / f"{page}.doctree"
    document: nodes.document = pickle.loads(stored.read_bytes())
    return document
