"""docs/settings.rst names every option that there is, with its default, and none beside them."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import click
import pytest
from django.core.management import load_command_class
from django.core.management.base import BaseCommand
from django.core.management.commands.runserver import Command as DjangoRunserver
from docutils import nodes

import channels_classic
from channels_classic import checks
from channels_classic.cli import main
from channels_classic.layers.base import BaseChannelLayer
from channels_classic.layers.local import LocalChannelLayer
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.layers.redis import (
    RedisChannelLayer,
    RedisClusterChannelLayer,
    RedisSentinelChannelLayer,
)
from channels_classic.server.options import (
    Limits,
    ServerOptions,
    flag_of,
    settings_of,
    shown_default,
)
from tests.docs import built

LAYERS = [
    BaseChannelLayer,
    InMemoryChannelLayer,
    LocalChannelLayer,
    RedisChannelLayer,
    RedisClusterChannelLayer,
    RedisSentinelChannelLayer,
]
pytestmark = pytest.mark.timeout(400)  # the first of these may have to build the pages
CODE = Path(channels_classic.__file__).parent


def rows(title: str, page: str = "settings") -> list[list[nodes.entry]]:
    """The cells of the table with this title, without its head."""
    tables = list(built.doctree(page).findall(nodes.table))
    [found] = [
        each for each in tables if (name := each.next_node(nodes.title)) and name.astext() == title
    ]
    body = found.next_node(nodes.tbody)
    assert body is not None
    return [list(row.findall(nodes.entry)) for row in body.children]  # type: ignore[union-attr]


def names(title: str, page: str = "settings") -> set[str]:
    """What the first column of the table names."""
    return {each.astext() for row in rows(title, page) for each in row[0].findall(nodes.literal)}


@pytest.mark.parametrize("layer_class", LAYERS, ids=lambda each: each.__name__)
def test_the_page_has_the_options_of_each_layer_with_their_defaults(
    layer_class: type[BaseChannelLayer],
) -> None:
    parameters = inspect.signature(layer_class.__init__).parameters
    options = {
        name: "time.monotonic" if name == "clock" else repr(each.default).replace("'", '"')
        for name, each in parameters.items()
        if each.kind is inspect.Parameter.KEYWORD_ONLY
    }
    page = {row[0].astext(): row[1].astext().replace("_", "") for row in rows(layer_class.__name__)}
    assert page == options


def test_the_page_has_the_keys_of_a_layer() -> None:
    assert names("Keys of a layer") == set(checks.KEYS)


@pytest.mark.parametrize("command", ["server", "up"])
def test_the_page_has_the_options_of_the_command(command: str) -> None:
    found = {
        name
        for option in main.commands[command].params
        if isinstance(option, click.Option)
        for name in (*option.opts, *option.secondary_opts)
    }
    named = {each for each in names(f"channels-classic {command}") if each.startswith("-")}
    assert named == found


def test_the_page_has_the_keys_of_the_server_with_their_defaults() -> None:
    found = {
        (flag_of(each), each.name, shown_default(each))
        for kind in (ServerOptions, Limits)
        for each in settings_of(kind)
    }
    table = rows("channels-classic server")
    page = {(flag, *(cell.astext() for cell in row[1:3])) for row in table for flag in flags(row)}
    assert found <= page
    assert {key for _, key, _ in page if key} == {name for _, name, _ in found}


def flags(row: list[nodes.entry]) -> list[str]:
    """What the first cell of a row names."""
    return [each.astext() for each in row[0].findall(nodes.literal)]


@pytest.mark.parametrize("command", ["runserver", "runworker", "rundelay"])
def test_the_page_has_the_options_of_the_management_commands(command: str) -> None:
    app = "channels_classic.delay" if command == "rundelay" else "channels_classic"
    ours, base = load_command_class(app, command), BaseCommand()
    base.requires_system_checks = ours.requires_system_checks  # else there is no --skip-checks
    known = options_of(DjangoRunserver() if command == "runserver" else base)
    found = {name for name in options_of(ours) - known if "_" not in name}  # these are old names
    assert names(f"manage.py {command}") == found


def options_of(command: BaseCommand) -> set[str]:
    """The long options of a management command."""
    actions = command.create_parser("manage.py", "command")._actions
    return {name for each in actions for name in each.option_strings if name.startswith("--")}


def test_the_page_has_every_system_check() -> None:
    source = "".join(path.read_text() for path in CODE.rglob("*.py"))
    found = {f"channels_classic.{each}" for each in re.findall(r'"([EW]\d{3})"', source)}
    assert names("Checks") == found


def test_the_page_has_every_option_of_channels_classic() -> None:
    sources = [path.read_text() for path in CODE.rglob("*.py")]
    found = {each for text in sources for each in re.findall(r'\boption\(\s*"([A-Z_]+)"', text)}
    assert found <= names("CHANNELS_CLASSIC")


def test_the_browser_page_has_every_option_of_the_bridge() -> None:
    script = (CODE / "static/channels_classic/websocketbridge.js").read_text()
    [defaults] = re.findall(r"const DEFAULTS = \{(.*?)\n  \};", script, re.DOTALL)
    found = dict(re.findall(r"^    (\w+): (.*),$", defaults, re.MULTILINE))
    page = rows("Options of connect", "browser")
    assert {row[0].astext(): row[1].astext() for row in page} == found
