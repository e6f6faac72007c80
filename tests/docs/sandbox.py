"""A project of Django's own making, into which the blocks of a page go, and where they run."""

from __future__ import annotations

import atexit
import configparser
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

import yaml

from tests.docs import commands, console, scripts
from tests.docs.blocks import Block

HERE = Path(__file__).parent
DRIVE = HERE / "drive.py"
#: What the driver has a page do at its end, beyond its own blocks.
DRIVEN = HERE / "driven"
SETTINGS = "project/settings.py"

#: For pages that do not say it: an app and a bus. What a page says comes behind it.
_BEFORE = """
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_classic.layers.memory.InMemoryChannelLayer",
        "ROUTING": "project.routing.channel_routing",
    }
}
_apps = INSTALLED_APPS
INSTALLED_APPS = []
"""
#: A list on a page is that of the project with what is said to be added; ``...`` is what was there.
_AFTER = """
INSTALLED_APPS = [*_apps, *(each for each in INSTALLED_APPS if each not in (*_apps, ...))]
for _each in ("channels_classic", "project"):
    if _each not in INSTALLED_APPS:
        INSTALLED_APPS.append(_each)
"""
#: The bus of the driver needs no server; options that are not for every layer have been checked.
_MEMORY = """
from project.settings import *
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
CHANNEL_LAYERS = {
    alias: {
        "BACKEND": "channels_classic.layers.memory.InMemoryChannelLayer",
        "ROUTING": entry["ROUTING"],
    }
    for alias, entry in CHANNEL_LAYERS.items()
}
"""


@functools.cache
def _django_project() -> Path:
    """The folder of a new project, as Django makes it; made once, and to be copied."""
    folder = Path(tempfile.mkdtemp(prefix="channels-project-"))
    atexit.register(shutil.rmtree, folder)
    # In a process of its own: in this one, a "project" of other tests may be imported.
    command = [sys.executable, "-m", "django", "startproject", "project", "."]
    subprocess.run(command, cwd=folder, check=True)
    return folder


class Sandbox:
    """One project, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(_django_project(), folder)
        self._django = self._read(SETTINGS)
        self._said = ""
        self.write("project/routing.py", "channel_routing = []\n")
        self.write("project/driven_settings.py", _MEMORY)
        self._settings("")

    def run_page(self, blocks: Sequence[Block], page: str) -> None:
        """Every block, by its kind: files first, then settings, then what is run."""
        kinds = sorted(blocks, key=lambda block: (not block.file, block.file == SETTINGS))
        steps = []
        for block in kinds:
            if block.language in ("python", "pycon") and not block.file:
                steps.append(block)
                continue
            assert block.language in _KINDS, f"{block.place}: no test for {block.language!r}"
            try:
                _KINDS[block.language](self, block)
            except (Exception, SystemExit) as error:  # of parsers of command lines
                raise AssertionError(f"{block.place}: {error}") from error
        self.run("python", "manage.py", "check")
        self._drive(steps, page)
        self._test([block.file for block in blocks])

    def _test(self, files: list[str]) -> None:
        """The tests that the page has written: of Django's kind, and for pytest."""
        modules = [file[:-3].replace("/", ".") for file in files if file.endswith("tests.py")]
        if modules:
            self.run("python", "manage.py", "test", "--verbosity", "0", *modules)
        if any(Path(file).name.startswith("test_") for file in files):
            self.run("python", "-m", "pytest", "-q")

    # Kinds ------------------------------------------------------------------------------

    def file(self, block: Block) -> None:
        """Several blocks for one file are its parts, in their order."""
        compile(block.text, block.place, "exec")
        if block.file == SETTINGS:
            self._settings(block.text)
            self.run("python", "manage.py", "check")
        else:
            self.write(block.file, block.text)

    def elsewhere(self, block: Block) -> None:
        """Code for another package is Python at least."""
        compile(block.text, block.place, "exec")

    def template(self, block: Block) -> None:
        for script in scripts.of(block.text):
            scripts.check(script, self.folder)
        if block.file:
            self.write(block.file, block.text)

    def script(self, block: Block) -> None:
        scripts.check(block.text, self.folder)

    def console(self, block: Block) -> None:
        """Where the output is shown, too, the commands are run; else they are only looked at."""
        for command, output in console.session(block.text):
            if output:
                console.expect(output, self.run("bash", "-c", command))
            else:
                commands.check(command)

    def ini(self, block: Block) -> None:
        parser = configparser.ConfigParser(strict=False, interpolation=None)
        parser.optionxform = str  # type: ignore[assignment,method-assign]
        parser.read_string(block.text)
        for section in parser.values():
            for key in ("command", "ExecStart"):
                if key in section:
                    commands.check(_without_folder(section[key]))

    def toml(self, block: Block) -> None:
        tomllib.loads(block.text)
        self.write(block.file, block.text)

    def yaml(self, block: Block) -> None:
        found = yaml.safe_load(block.text)
        assert isinstance(found, dict), f"not a mapping: {found!r}"

    # Files and processes ----------------------------------------------------------------

    def _settings(self, more: str) -> None:
        self._said += more
        text = "".join([self._django, _BEFORE, self._said, _AFTER])
        (self.folder / SETTINGS).write_text(text)

    def write(self, name: str, text: str) -> None:
        """A file, or more of it."""
        path = self.folder / name
        assert path.resolve().is_relative_to(self.folder.resolve()), name
        path.parent.mkdir(parents=True, exist_ok=True)
        is_new_routing = name.endswith("routing.py") and path.exists()
        old = "" if is_new_routing or not path.exists() else self._read(name)
        if old.startswith('"""\nASGI config'):
            old = ""  # Django's own
        path.write_text(old + text)
        for parent in path.relative_to(self.folder).parents:
            if name.endswith(".py") and parent != Path("."):
                (self.folder / parent / "__init__.py").touch()

    def _read(self, name: str) -> str:
        return (self.folder / name).read_text()

    @property
    def env(self) -> dict[str, str]:
        """That of a user who has activated the environment."""
        inherited = {k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"}
        path = f"{Path(sys.executable).parent}{os.pathsep}{inherited.get('PATH', '')}"
        return {**inherited, "PATH": path, "PYTHONWARNINGS": "error"}

    def run(self, *command: str, **more: str) -> str:
        """The output of a command that works."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**self.env, **more},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=200,
            check=False,
        )
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}"
        return done.stdout

    def _drive(self, steps: list[Block], page: str) -> None:
        plan = {
            "steps": [(block.language, block.place, block.text) for block in steps],
            "driven": str(DRIVEN / f"{page.replace('-', '_')}.py"),
        }
        (self.folder / "plan.json").write_text(json.dumps(plan))
        settings = "project.driven_settings"
        self.run("python", str(DRIVE), DJANGO_SETTINGS_MODULE=settings, PYTHONPATH=".")


_KINDS = {
    "python": Sandbox.file,
    "python elsewhere": Sandbox.elsewhere,
    "html": Sandbox.template,
    "html+django": Sandbox.template,
    "javascript": Sandbox.script,
    "console": Sandbox.console,
    "ini": Sandbox.ini,
    "toml": Sandbox.toml,
    "yaml": Sandbox.yaml,
}


def _without_folder(command: str) -> str:
    """``/srv/site/venv/bin/python manage.py`` is ``python manage.py``."""
    first, _, rest = command.partition(" ")
    return f"{Path(first).name} {rest}"
