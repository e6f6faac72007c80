"""Written: the files of a plan for somebody else to run: supervisord, systemd, an engine, nginx."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from channels_classic.exceptions import UpError
from channels_classic.up import compose, nginx, supervisor, systemd
from channels_classic.up.plan import Plan

#: What makes the files of each kind, by their names, for a folder.
KINDS: Mapping[str, Callable[[Plan, Path], dict[str, str]]] = {
    "supervisor": lambda plan, output: supervisor.files(plan),
    "systemd": lambda plan, output: systemd.files(plan),
    "compose": compose.files,
    "nginx": lambda plan, output: nginx.files(plan),
}


def as_text(files: Mapping[str, str]) -> str:
    """All files as one text; each has its name before it when there are several."""
    if len(files) == 1:
        return next(iter(files.values()))
    return "\n".join(f"# ==> {name} <==\n{text}" for name, text in sorted(files.items()))


def write(files: Mapping[str, str], folder: Path) -> list[Path]:
    """Write the files into ``folder``, over those that are there; their paths. ``UpError``."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UpError(f"cannot write to {folder}: {error.strerror}") from error
    return [folder / name for name in sorted(files)]
