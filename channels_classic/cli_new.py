"""``channels-classic new``: makes a project that runs, from the files in ``project_template``."""

from __future__ import annotations

import keyword
import shlex
import sys
from importlib.util import find_spec
from pathlib import Path

import click
from django.core.management.base import CommandError
from django.core.management.commands.startproject import Command

from channels_classic import __version__

TEMPLATE = Path(__file__).parent / "project_template"
#: The app in the template; a project of this name would be in its place.
APP = "talk"
#: What Django renders besides Python files; pages keep their tags for the site itself.
_RENDERED = ["README.md", "pyproject.toml", "requirements.txt"]


@click.command()
@click.argument("project")
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder to put it into, made when it is missing.  [default: ./PROJECT]",
)
def new(project: str, directory: Path | None) -> None:
    """Make the project PROJECT, ready to run.

    PROJECT is the name of a Python package: letters, digits and underscores.

    It has settings (with REDIS_URL the messages go over Redis, without it they stay in one
    process), routing, asgi.py, wsgi.py, one app with an echo socket and a task, a page that uses
    both, and tests that pass.

    \b
      channels-classic new shop                in ./shop
      channels-classic new shop --directory .  in this folder, beside what is here
    """
    _check_name(project)
    folder = Path(project) if directory is None else directory
    _check_folder(folder, project, is_new=directory is None)
    try:
        _make(project, folder)
    except (CommandError, OSError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(_next_steps(project, folder))


def _check_name(name: str) -> None:
    """``ClickException`` for a name that no package of a project can have."""
    if not name.isidentifier() or keyword.iskeyword(name):
        raise click.ClickException(
            f"{name!r} cannot be the name of a Python package: use letters, digits and "
            "underscores, begin with a letter, and take no word of Python's own"
        )
    if name == APP:
        raise click.ClickException(f"{name!r} is the app that comes with it: choose another name")
    if name in sys.modules or find_spec(name) is not None:
        raise click.ClickException(
            f"{name!r} is the name of a module that Python has already: choose another name"
        )


def _check_folder(folder: Path, project: str, *, is_new: bool) -> None:
    """``ClickException`` when something is in the place of what is to be made."""
    if is_new and folder.exists():
        raise click.ClickException(
            f"{folder} exists: choose another name, or a place for it with --directory"
        )
    for each in TEMPLATE.iterdir():
        target = folder / _file_name(each.name, project)
        if target.exists():
            raise click.ClickException(f"{target} exists: nothing was made, so that it stays")


def _file_name(name: str, project: str) -> str:
    """How a file or folder of the template is called in the project."""
    if name == "gitignore":  # with its dot it would be git's, for this folder
        return ".gitignore"
    return name.replace("project_name", project).removesuffix("-tpl")


def _make(project: str, folder: Path) -> None:
    """What ``startproject --template`` does, with the version to require."""
    folder.mkdir(parents=True, exist_ok=True)
    Command().handle(
        name=project,
        directory=str(folder),
        template=str(TEMPLATE),
        extensions=["py"],
        files=_RENDERED,
        verbosity=0,
        version=__version__,
    )
    (folder / "gitignore").rename(folder / _file_name("gitignore", project))


def _next_steps(project: str, folder: Path) -> str:
    commands = ["python manage.py migrate", "python manage.py runserver"]
    if folder.resolve() != Path.cwd():
        commands.insert(0, f"cd {shlex.quote(str(folder))}")
    lines = "\n".join(f"  {command}" for command in commands)
    return (
        f"Made {project}. Next:\n\n{lines}\n\n"
        "and open http://127.0.0.1:8000/. With Redis installed, channels-classic up runs it as in\n"
        "production: a server and workers in processes of their own. README.md says more."
    )
