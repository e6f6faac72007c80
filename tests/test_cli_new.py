"""``channels-classic new``: what it makes and what it refuses."""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

import channels_classic
from channels_classic import cli


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(*arguments):
    """The output and the status."""
    result = CliRunner().invoke(cli.main, ["new", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.output, result.exit_code


def refused(*arguments):
    """What it says instead of making anything."""
    before = sorted(Path().rglob("*"))
    output, status = run(*arguments)
    assert status == 1
    assert output.startswith("Error: ")
    assert sorted(Path().rglob("*")) == before
    return output


def test_it_makes_a_project_in_a_folder_of_its_name():
    output, status = run("shop")
    assert status == 0
    assert {path.name for path in Path("shop").iterdir()} == {
        ".gitignore",
        "README.md",
        "manage.py",
        "pyproject.toml",
        "requirements.txt",
        "shop",
        "talk",
    }
    assert os.access("shop/manage.py", os.X_OK)
    commands = re.findall(r"^  (.+)$", output, re.MULTILINE)
    assert commands == ["cd shop", "python manage.py migrate", "python manage.py runserver"]


def test_every_file_is_filled_in():
    run("shop")
    for path in Path("shop").rglob("*.*"):
        assert not path.name.endswith("-tpl")
        text = path.read_text()
        assert "project_name" not in text, path
        if path.suffix == ".py":
            assert ast.get_docstring(ast.parse(text)), path
    required = Path("shop/requirements.txt").read_text()
    assert required == f"channels-classic=={channels_classic.__version__}\n"
    assert "{% load static %}" in Path("shop/talk/templates/talk/page.html").read_text()


def test_each_project_has_a_key_of_its_own():
    run("one")
    run("two")
    keys = [
        re.search(r'OPEN_KEY = "(.+)"', Path(name, name, "settings.py").read_text())[1]
        for name in ("one", "two")
    ]
    assert keys[0] != keys[1]
    assert len(keys[0]) >= 50


def test_it_goes_into_a_folder_that_is_named():
    output, status = run("shop", "--directory", "new folder/deep")
    assert status == 0
    assert Path("new folder/deep/shop/settings.py").exists()
    assert "  cd 'new folder/deep'\n" in output


def test_it_goes_beside_what_is_there():
    Path(".git").mkdir()
    output, status = run("shop", "--directory", ".")
    assert status == 0
    assert Path("manage.py").exists()
    assert "cd " not in output


@pytest.mark.parametrize("name", ["my-shop", "2shop", "a.b", "class", "", "my shop"])
def test_a_name_that_no_package_can_have_is_refused(name):
    assert f"{name!r} cannot be the name of a Python package" in refused(name)


@pytest.mark.parametrize("name", ["site", "django", "channels_classic", "sys", "__main__"])
def test_the_name_of_a_module_is_refused(name):
    assert f"{name!r} is the name of a module" in refused(name)


def test_the_name_of_its_app_is_refused():
    assert "'talk' is the app that comes with it" in refused("talk")


def test_a_folder_that_exists_is_left_alone():
    Path("shop").mkdir()
    assert "shop exists: choose another name" in refused("shop")


@pytest.mark.parametrize("name", ["manage.py", ".gitignore", "shop"])
def test_a_file_that_exists_is_left_alone(name):
    Path(name).write_text("mine")
    assert f"{name} exists: nothing was made" in refused("shop", "--directory", ".")
    assert Path(name).read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_said():
    Path("file").touch()
    assert "Not a directory" in refused("shop", "--directory", "file/shop")
