"""Whether the packages that channels_classic is built on are there, and new enough."""

from __future__ import annotations

import re
from importlib import metadata

#: The oldest release of each that will do; ``setup.py`` says the same to pip.
required_versions = {
    "Django": "5.2.13",
    "asgiref": "3.8.1",
    "hiredis": "3.2",
    "msgpack": "1.2",
    "redis": "8.0.1",
}


def check_all() -> None:
    """Raise the ``RuntimeError`` that says what to install, if anything is to be."""
    lacks = {name: _lack(name, needed) for name, needed in required_versions.items()}
    wanted = [f"{name}>={required_versions[name]}" for name, lack in lacks.items() if lack]
    if wanted:
        found = ", ".join(f"{name}: {lack}" for name, lack in lacks.items() if lack)
        raise RuntimeError(
            f"channels_classic needs {', '.join(wanted)} ({found}): "
            f"python -m pip install {' '.join(map(repr, wanted))}"
        )


def _lack(name: str, needed: str) -> str:
    """What is wrong with the package; empty for nothing."""
    try:
        installed = metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not there"
    return f"it is {installed}" if _numbers(installed) < _numbers(needed) else ""


def _numbers(version: str) -> tuple[int, ...]:
    release = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in release[0].split(".")) if release else ()
