"""``channels-classic up`` and its kin: what they say without starting anything."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from channels_classic.cli import main

ROOT = Path(__file__).parents[1]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.fixture(autouse=True)
def example(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the folder of the example site, with its own settings."""
    monkeypatch.chdir(ROOT / "workers")
    monkeypatch.delenv("DJANGO_SETTINGS_MODULE")


@pytest.mark.parametrize("command", ["up", "down", "status", "restart"])
def test_each_command_explains_itself(command: str) -> None:
    assert "--state FOLDER" in run(command, "--help").output


def test_what_would_run_here_is_printed() -> None:
    printed = run("up", "--print", "supervisor", "--workers", "5", "--group", "t=thumbnailer:3")
    assert printed.exit_code == 0
    assert "numprocs=5" in printed.output
    assert "numprocs=3" in printed.output
    assert f"directory={ROOT}/workers" in printed.output


def test_files_are_written_for_another_machine(tmp_path: Path) -> None:
    options = [
        "--site",
        "/srv/shop",
        "--venv",
        "/opt/venv",
        "--user",
        "shop",
        "--redis",
        "settings",
    ]
    done = run("up", "--print", "systemd", "--output", str(tmp_path), *options)
    assert done.exit_code == 0, done.output
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"channels.target", "channels-server.service", "channels-worker@.service"}
    assert done.output.splitlines() == sorted(str(tmp_path / name) for name in names)
    worker = (tmp_path / "channels-worker@.service").read_text()
    assert "ExecStart=/opt/venv/bin/python manage.py runworker\n" in worker
    assert "User=shop\nWorkingDirectory=/srv/shop\n" in worker
    assert "REDIS_URL" not in worker


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["up", "--user", "me"], "are for --print"),
        (["up", "--print", "systemd", "--group", "tasks"], "not NAME=GLOBS:COUNT"),
        (["up", "--manage", "nowhere.py"], "there is no nowhere.py"),
        (["restart"], "Missing argument 'WHAT...'"),
        (["restart", "workers", "--state", "/nowhere"], "the site is not up"),
        (["status", "--state", "/nowhere"], "the site is not up: channels-classic up starts it"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(arguments: list[str], problem: str) -> None:
    done = run(*arguments)
    assert done.exit_code in (1, 2)
    assert problem in done.output
    assert "Traceback" not in done.output


def test_the_status_of_a_site_that_is_down_is_json_too() -> None:
    done = run("status", "--json", "--state", "/nowhere")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["reason"] == "the site is not up: channels-classic up starts it"


def test_down_is_content_when_there_is_nothing() -> None:
    done = run("down", "--state", "/nowhere")
    assert (done.exit_code, done.output) == (0, "The site was not up.\n")
