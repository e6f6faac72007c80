"""Package checks: what is missing or too old is said, with the command that mends it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from channels_classic.package_checks import check_all, required_versions

SETUP = Path(__file__).parent.parent / "setup.py"


def test_what_is_installed_will_do():
    check_all()


def test_a_package_that_is_too_old_is_named_with_what_to_install(monkeypatch):
    monkeypatch.setitem(required_versions, "redis", "99.1")
    with pytest.raises(RuntimeError, match=r"needs redis>=99.1 \(redis: it is .* 'redis>=99.1'$"):
        check_all()


def test_a_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(required_versions, "no-such-package", "1.0")
    with pytest.raises(RuntimeError, match=r"no-such-package: not there"):
        check_all()


def test_all_that_is_wrong_is_said_at_once(monkeypatch):
    monkeypatch.setitem(required_versions, "redis", "99")
    monkeypatch.setitem(required_versions, "msgpack", "99")
    with pytest.raises(RuntimeError, match=r"install 'msgpack>=99' 'redis>=99'$"):
        check_all()


@pytest.mark.parametrize(
    ("installed", "needed", "will_do"),
    [
        ("1.10", "1.9", True),
        ("1.9", "1.10", False),
        ("2.0b1", "2.0", True),
        ("2.0+local.1", "2.0", True),
        ("2", "2.0.1", False),
        ("odd", "1", False),
    ],
)
def test_versions_are_compared_by_their_numbers(monkeypatch, installed, needed, will_do):
    monkeypatch.setattr("importlib.metadata.version", lambda name: installed)
    monkeypatch.setattr("channels_classic.package_checks.required_versions", {"a": needed})
    if will_do:
        check_all()
    else:
        with pytest.raises(RuntimeError, match=f"a>={needed}"):
            check_all()


def test_setup_says_the_same_to_pip():
    texts = [
        node.value
        for node in ast.walk(ast.parse(SETUP.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    for name, version in required_versions.items():
        assert any(text.replace("[hiredis]", "").startswith(f"{name}>={version}") for text in texts)
