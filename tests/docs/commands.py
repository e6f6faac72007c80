"""Whether a command on a page is one that there is, with the arguments that it takes."""

from __future__ import annotations

import re
import shlex
from functools import partial
from importlib.metadata import metadata
from pathlib import Path

import click
from django.core.management import get_commands, load_command_class
from django.core.management.base import BaseCommand

from channels_classic.cli import main

MAKEFILE = Path(__file__).resolve().parents[2] / "Makefile"
#: Programs that are not ours, which pages may name.
OTHERS = {"cd", "redis-server", "supervisord", "supervisorctl", "source", "systemctl"}


def check(line: str) -> None:
    """Raise for a command line that would end in a usage error."""
    words = shlex.split(line, comments=True)
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        del words[0]  # a variable that is set for the command
    if words and words[0] not in OTHERS:
        assert words[0] in _CHECKS, f"not a command that pages may have: {line}"
        _CHECKS[words[0]](words[1:])


def _check_python(arguments: list[str]) -> None:
    if arguments[0] == "manage.py":
        _check_manage(arguments[1:])
    else:
        assert arguments[:2] in (["-m", "venv"], ["-m", "pytest"]), arguments


def _check_manage(arguments: list[str]) -> None:
    name, *rest = arguments
    assert name in get_commands(), f"manage.py has no command {name!r}"
    app = get_commands()[name]
    command = app if isinstance(app, BaseCommand) else load_command_class(app, name)
    command.create_parser("manage.py", name).parse_args(rest)


def _check_cli(command: click.Command, arguments: list[str]) -> None:
    if {"--help", "--version"} & set(arguments):
        arguments = [each for each in arguments if each not in {"--help", "--version"}]
        if isinstance(command, click.Group) and not arguments:
            return
    if isinstance(command, click.Group):
        name, *rest = arguments
        found = command.commands.get(name)
        assert found is not None, f"channels-classic has no command {name!r}"
        _check_cli(found, rest)
    else:
        # Below a parent, as always: a command keeps the help option that it finds at first.
        parent = click.Context(main, **main.context_settings)
        command.make_context(command.name, list(arguments), parent=parent)


def _check_pip(arguments: list[str]) -> None:
    verb, *requirements = arguments
    assert verb == "install", verb
    for requirement in requirements:
        _check_requirement(requirement)


def _check_requirement(requirement: str) -> None:
    """Of our own package the extras are known."""
    found = re.fullmatch(r"channels-classic(?:\[(.+)\])?", requirement)
    assert found or requirement in {"pytest", "pytest-django"}, requirement
    if found and found[1]:
        extras = metadata("channels-classic").get_all("Provides-Extra") or []
        assert set(found[1].split(",")) <= set(extras), requirement


def _check_make(arguments: list[str]) -> None:
    target = f"\n{arguments[0]}:"
    assert target in MAKEFILE.read_text(encoding="utf-8"), f"no target {arguments[0]!r}"


_CHECKS = {
    "channels-classic": partial(_check_cli, main),
    "django-admin": _check_manage,
    "make": _check_make,
    "pip": _check_pip,
    "python": _check_python,
}
