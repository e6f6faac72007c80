"""``channels-classic migrate``: rewrite a project that was written for Channels 1."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from channels_classic.migrate.project import Report


@click.command()
@click.argument("path", metavar="PATH", type=click.Path(exists=True, path_type=Path))
@click.option("--check", is_flag=True, help="Write nothing; status 1 if something would change.")
@click.option("--diff", is_flag=True, help="Write nothing; print unified diffs.")
def migrate(path: Path, check: bool, diff: bool) -> None:
    """Rewrite the project at PATH from Channels 1 to channels_classic.

    PATH is the folder with manage.py, or one file. Commit your work first, then:

    \b
      channels-classic migrate --diff .    see what would change
      channels-classic migrate .           change it, and say what is left to you
      channels-classic migrate --check .   for CI: is there anything left to change?

    It rewrites imports and what they bind, names in texts (INSTALLED_APPS, BACKEND, consumers,
    loggers, targets of mock.patch), options in CHANNEL_LAYERS that no layer has any more, the path
    of websocketbridge.js in templates, and the lines of requirements*.txt. Nothing else in a file
    changes: not its format, its line ends, its encoding or its mode.

    It lists, and leaves to you: what works differently, such as connect consumers that do not
    accept; command lines of daphne, with what to write instead; other lists of requirements; and
    names of Channels 2 and later.

    It leaves alone: files that this Python cannot read, such as those for Python 2; modules in a
    project that has a module named channels of its own; .git, virtual environments, node_modules.

    \b
    The status is
      0  all was done, or there was nothing to do
      1  with --check: something would change; or the command could not run
      2  the command line makes no sense
      3  files were left alone: see the end of the list; all others were done

    It needs an extra: pip install 'channels-classic[migrate]'
    """
    project, report = _load("project"), _load("report")
    found: Report = project.Project(path).examine()
    written = not (check or diff)
    if written:
        _write(found)
    for file in found.files:
        if diff:
            click.echo(b"".join(report.diff(file)), nl=False)
        else:
            click.echo(_printable("\n".join(report.changes(file))))
    for line in (*report.advice(found), "", report.summary(found, written=written)):
        click.echo(_printable(line), err=diff)  # so that the diffs can be piped to patch
    if check and found.files:
        raise SystemExit(1)
    if found.left_alone:
        raise SystemExit(3)


def _load(name: str) -> Any:
    """A module of the migration, imported by name: libcst, which it needs, is in an extra.

    All other commands must start without it, so nothing may import these modules at the top.
    """
    try:
        return importlib.import_module(f"channels_classic.migrate.{name}")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "libcst":
            raise
        raise click.ClickException(
            "this needs libcst: pip install 'channels-classic[migrate]'"
        ) from error


def _write(found: Report) -> None:
    """Write the files; those that cannot be written are left alone."""
    files = _load("files")
    for file in list(found.files):
        try:
            files.write(file.path, file.new)
        except OSError as error:
            found.files.remove(file)
            found.leave(file.path, f"cannot be written: {error.strerror}")


def _printable(text: str) -> str:
    """Names of files may hold bytes that are no text."""
    return text.encode("utf-8", "replace").decode()
