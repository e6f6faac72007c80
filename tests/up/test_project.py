"""Project: what is found in the files, and what is said when it is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from channels_classic.exceptions import UpError
from channels_classic.up.project import find_manage, find_project, own_command, state_of

MANAGE = 'import os\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings.production")\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a project that has no asgi.py yet; it is the current one."""
    (tmp_path / "manage.py").write_text(MANAGE)
    (tmp_path / "shop").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DJANGO_SETTINGS_MODULE", raising=False)
    monkeypatch.delenv("CHANNELS_STATE", raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "attribute"),
    [
        ("from somewhere import x\nchannel_layer = x\n", "channel_layer"),
        ("application = InterfaceServer(x)\n", "application"),
    ],
)
def test_the_way_in_is_in_asgi_py_near_the_settings(
    folder: Path, text: str, attribute: str
) -> None:
    (folder / "shop" / "asgi.py").write_text(text)
    found = find_project(find_manage(None), None)
    assert (found.folder, found.manage) == (folder, "manage.py")
    assert found.settings == "shop.settings.production"
    assert found.target == f"shop.asgi:{attribute}"


def test_another_way_in_and_other_settings_may_be_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "shop.settings.test")
    found = find_project(find_manage(None), "shop.ways:layer")
    assert (found.settings, found.target) == ("shop.settings.test", "shop.ways:layer")


def test_a_missing_asgi_py_is_shown(folder: Path) -> None:
    with pytest.raises(UpError, match=r"no asgi.py beside[^$]+get_channel_layer\(\)"):
        find_project(find_manage(None), None)


def test_an_asgi_py_of_django_alone_is_told_what_it_lacks(folder: Path) -> None:
    (folder / "shop" / "asgi.py").write_text("application = get_asgi_application()\n")
    with pytest.raises(UpError, match="has no channel layer"):
        find_project(find_manage(None), None)


def test_a_manage_py_that_does_not_name_the_settings(folder: Path) -> None:
    (folder / "manage.py").write_text("print('hello')\n")
    with pytest.raises(UpError, match="set it in the environment"):
        find_project(find_manage(None), None)


def test_manage_py_is_here_in_workers_or_where_it_is_said_to_be(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_manage(None) == folder / "manage.py"
    assert find_manage(str(folder)) == folder / "manage.py"
    (folder / "workers").mkdir()
    (folder / "manage.py").rename(folder / "workers" / "manage.py")
    assert find_manage(None) == folder / "workers" / "manage.py"
    monkeypatch.chdir(folder / "shop")
    with pytest.raises(UpError, match="no manage.py here"):
        find_manage(None)
    with pytest.raises(UpError, match="there is no nowhere"):
        find_manage("nowhere")


def test_the_state_folder_is_beside_manage_py_or_where_it_is_said_to_be(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manage = find_manage(None)
    assert state_of(manage, None) == folder / ".channels"
    monkeypatch.setenv("CHANNELS_STATE", "/run/of-the-environment")
    assert state_of(manage, None) == Path("/run/of-the-environment")
    assert state_of(manage, "here") == folder / "here"


def test_the_command_of_this_interpreter_is_found() -> None:
    assert Path(own_command()).name == "channels-classic"
