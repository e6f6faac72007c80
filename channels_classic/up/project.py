"""Where the project is, and what its way in and its settings are called: from its files alone."""

from __future__ import annotations

import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from channels_classic.exceptions import UpError

#: Where ``manage.py`` is looked for, seen from the current folder.
PLACES = ("manage.py", "workers/manage.py")
#: The variable that names another state folder.
STATE = "CHANNELS_STATE"

_SETTINGS = re.compile(r"""DJANGO_SETTINGS_MODULE["']\s*(?:,|\]\s*=)\s*["']([\w.]+)["']""")
_ASGI = """    import os
    from channels_classic.asgi import get_channel_layer

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "{settings}")
    channel_layer = get_channel_layer()"""


@dataclass(frozen=True)
class Project:
    """A Django project: its folder, ``manage.py`` in it, its settings and its MODULE:ATTRIBUTE."""

    folder: Path
    manage: str
    settings: str
    target: str


def find_manage(path: str | None) -> Path:
    """``manage.py``: at ``path``, or in the current folder; ``UpError``."""
    if path is not None:
        given = Path(path, "manage.py") if Path(path).is_dir() else Path(path)
        if not given.is_file():
            raise UpError(f"there is no {given}")
        return given.absolute()
    for place in PLACES:
        if Path(place).is_file():
            return Path(place).absolute()
    raise UpError(
        "there is no manage.py here: go into the folder of the project, or name it with --manage"
    )


def find_project(manage: Path, target: str | None) -> Project:
    """The project of ``manage``, whose way in is ``target`` or else found; ``UpError``."""
    settings = os.environ.get("DJANGO_SETTINGS_MODULE") or _settings_of(manage)
    found = target or _target(manage.parent, settings)
    return Project(manage.parent, manage.name, settings, found)


def state_of(manage: Path, given: str | None) -> Path:
    """The state folder: as given, as the environment says, or ``.channels`` beside ``manage``."""
    named = given or os.environ.get(STATE)
    return Path(named).absolute() if named else manage.parent / ".channels"


def own_command() -> str:
    """The ``channels-classic`` that belongs to this interpreter; ``UpError``."""
    beside = Path(sys.executable).with_name("channels-classic")
    found = str(beside) if beside.is_file() else shutil.which("channels-classic")
    if found is None:
        raise UpError(f"there is no channels-classic beside {sys.executable}, nor on PATH")
    return found


def _settings_of(manage: Path) -> str:
    found = _SETTINGS.search(manage.read_text(encoding="utf-8", errors="replace"))
    if found is None:
        raise UpError(f"{manage} does not say DJANGO_SETTINGS_MODULE: set it in the environment")
    return found[1]


def _target(folder: Path, settings: str) -> str:
    """``asgi.py`` beside the settings, whose package may have them as modules."""
    packages = settings.split(".")[:-1]
    while packages:
        module = ".".join([*packages, "asgi"])
        file = folder.joinpath(*packages, "asgi.py")
        if file.is_file():
            return f"{module}:{_attribute(file, settings)}"
        packages.pop()
    raise UpError(
        f"there is no asgi.py beside the settings {settings}: write one, or name another way in as "
        f"MODULE:ATTRIBUTE. It has these lines:\n\n{_ASGI.format(settings=settings)}"
    )


def _attribute(file: Path, settings: str) -> str:
    text = file.read_text(encoding="utf-8", errors="replace")
    if re.search(r"^channel_layer\b", text, re.MULTILINE):
        return "channel_layer"
    if "InterfaceServer" in text:
        return "application"
    raise UpError(
        f"{file} has no channel layer: add it to its end\n\n{_ASGI.format(settings=settings)}"
    )
