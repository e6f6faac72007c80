"""deploy/README.rst: the commands in it are commands that there are."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.docs import blocks, commands

#: Ours, wherever they stand in a line, and up to where that goes on with something else.
_OURS = re.compile(r"(?:^|[ /])((?:channels-classic|python) (?!-)[^;&|#]+|pip install [^;&|#]+)")


def lines() -> list[str]:
    return [line for block in blocks.of_deploy_readme() for line in block.splitlines()]


OURS = [found[1].strip() for line in lines() if (found := _OURS.search(line))]


@pytest.mark.parametrize("line", OURS)
def test_each_command_of_ours_is_one_that_there_is(
    line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(blocks.ROOT)
    commands.check(line.replace("'.[example]'", "'channels-classic[example]'"))


def test_there_are_such_commands() -> None:
    assert {line.split()[1] for line in OURS} >= {"up", "down", "status", "restart", "manage.py"}


def test_bash_can_read_what_is_given_to_it() -> None:
    scripts = [block for block in blocks.of_deploy_readme() if "CHANNEL_LAYERS = " not in block]
    for script in scripts:
        done = subprocess.run(
            ["bash", "-n"], input=script, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, ""), script
    assert len(scripts) > 15
