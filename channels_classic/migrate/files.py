"""The files of a project: which there are, how they are decoded, how they are written."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
import tokenize
from collections.abc import Iterator
from pathlib import Path

from channels_classic.migrate.findings import words

#: Folders that hold nothing that a person of the project has written.
_NOT_OURS = words(
    ".git .hg .svn .bzr .tox .nox .eggs .mypy_cache .pytest_cache .ruff_cache __pycache__ "
    "node_modules bower_components site-packages dist-packages"
)
#: Where modules are imported from, told by what lies beside them.
_ROOT_FILES = ("manage.py", "setup.py", "pyproject.toml", "setup.cfg")


def walk(root: Path) -> Iterator[Path]:
    """The files below ``root``, sorted, without virtual environments and the like; or it alone."""
    if root.is_file():
        yield root
        return
    for folder, folders, names in os.walk(root):
        here = Path(folder)
        folders[:] = sorted(
            name for name in folders if name not in _NOT_OURS and not _is_environment(here / name)
        )
        for name in sorted(names):
            path = here / name
            if path.is_file() and not path.is_symlink():
                yield path


def _is_environment(folder: Path) -> bool:
    """Made by venv, or by a virtualenv of those days."""
    marks = ("pyvenv.cfg", "bin/activate", "Scripts/activate", "conda-meta")
    return any((folder / mark).exists() for mark in marks)


def local_packages(root: Path, paths: list[Path]) -> list[Path]:
    """The top-level modules named ``channels`` of the project itself: not those of Channels.

    One inside a package, as ``chat/channels.py``, is ``chat.channels`` to others, and no such.
    """
    found = {path for path in paths if path.name == "channels.py"}
    found |= {path.parent for path in paths if path.parent.name == "channels"} - {root}
    return sorted(place for place in found if _is_root(place.parent, root))


def _is_root(folder: Path, root: Path) -> bool:
    if (folder / "__init__.py").exists():
        return False
    return (
        folder == root
        or folder.name == "src"
        or any((folder / name).exists() for name in _ROOT_FILES)
    )


def encoding_of(data: bytes) -> str:
    """The encoding of a Python file, by its mark and its first lines; ``SyntaxError``."""
    return tokenize.detect_encoding(io.BytesIO(data).readline)[0]


def write(path: Path, data: bytes) -> None:
    """Put ``data`` in the place of the file at once, with its mode and owner; ``OSError``."""
    status = path.stat()
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(PermissionError):  # another user's: it becomes ours
            os.chown(name, status.st_uid, status.st_gid)
        os.chmod(name, status.st_mode & 0o7777)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
