"""Prepare: which Redis a site gets, and what is said when it cannot be run."""

from __future__ import annotations

import socket
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from channels_classic.exceptions import UpError
from channels_classic.up.plan import Group, Plan
from channels_classic.up.prepare import check, check_place, prepare, warnings
from channels_classic.up.probe import Findings
from tests.conftest import RedisServer

SETTINGS = """
import os
SECRET_KEY = "x"
INSTALLED_APPS = ["channels_classic"]
LAYER = {layer}
CHANNEL_LAYERS = {{"default": {{**LAYER, "ROUTING": []}}}}
"""
ASGI = """
import os
from channels_classic.asgi import get_channel_layer
print("what sites print at their start is no answer")
channel_layer = get_channel_layer()
"""
MEMORY = '{"BACKEND": "channels_classic.layers.memory.InMemoryChannelLayer"}'
REDIS = '{"BACKEND": "channels_classic.layers.redis.RedisChannelLayer"%s}'
BY_URL = REDIS % ', "CONFIG": {"hosts": [os.environ["REDIS_URL"]]}'
EITHER = f'{BY_URL} if os.environ.get("REDIS_URL") else {MEMORY}'


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """The plan of a site whose settings are still to be written."""
    monkeypatch.delenv("REDIS_URL", raising=False)
    (tmp_path / "asgi.py").write_text(ASGI)
    return Plan(
        folder=tmp_path,
        state=tmp_path / ".channels",
        target="asgi:channel_layer",
        settings="settings",
        python=sys.executable,
        command="channels-classic",
    )


def write(plan: Plan, layer: str, more: str = "") -> None:
    (plan.folder / "settings.py").write_text(SETTINGS.format(layer=layer) + more)


def prepared(plan: Plan, redis: str | None = None) -> tuple[Plan, Findings]:
    plan, probe = prepare(plan, redis)
    with probe:
        return plan, probe.findings


@pytest.mark.parametrize("layer", [EITHER, BY_URL], ids=["either", "by url alone"])
def test_settings_without_a_redis_get_a_private_one(plan: Plan, layer: str) -> None:
    write(plan, layer)
    found, findings = prepared(plan)
    assert found.redis is None
    assert findings.hosts == [found.redis_url]


def test_a_redis_that_the_environment_names_is_used(
    plan: Plan, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(plan, EITHER)
    monkeypatch.setenv("REDIS_URL", redis_server.url)
    assert prepared(plan)[0].redis == redis_server.url


def test_a_redis_that_the_settings_name_is_used(plan: Plan, redis_server: RedisServer) -> None:
    write(plan, REDIS % f', "CONFIG": {{"hosts": ["{redis_server.url}"]}}')
    assert prepared(plan)[0].redis == ""


def test_a_redis_that_does_not_answer_is_said_with_what_else_there_is(plan: Plan) -> None:
    write(plan, REDIS % ', "CONFIG": {"hosts": ["redis://127.0.0.1:1"]}')
    with pytest.raises(UpError, match=r"does not answer: .*127.0.0.1:1.*--redis private"):
        prepare(plan, None)


@pytest.mark.parametrize("redis", [None, "private", "unix:///redis.sock"])
def test_settings_that_ignore_redis_url_are_shown_what_to_write(
    plan: Plan, redis: str | None
) -> None:
    write(plan, MEMORY)
    with pytest.raises(UpError, match=r'InMemory[^"]+within one process.[^$]+"REDIS_URL"'):
        prepare(plan, redis)


def test_settings_that_cannot_be_loaded_are_shown(plan: Plan) -> None:
    write(plan, MEMORY, "INSTALLED_APPS += [missing]\n")
    with pytest.raises(UpError, match=r"(?s)cannot be loaded.*line 7.*'missing' is not defined"):
        prepare(plan, None)


# What would not work ----------------------------------------------------------------------

FOUND = Findings(layer="x", local_only=False, channels=["http.request", "thumbnailer"])


def test_a_delay_worker_needs_its_app(plan: Plan) -> None:
    check(replace(plan, delay=True), replace(FOUND, has_delay=True))
    with pytest.raises(UpError, match="channels_classic.delay"):
        check(replace(plan, delay=True), FOUND)


def test_metrics_need_their_library(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    check(replace(plan, metrics=9100), FOUND)
    monkeypatch.setattr("channels_classic.up.prepare.find_spec", lambda name: None)
    with pytest.raises(UpError, match=r"pip install 'channels-classic\[metrics\]'"):
        check(replace(plan, metrics=9100), FOUND)
    check(plan, FOUND)


def test_groups_read_channels_that_there_are(plan: Plan) -> None:
    check(replace(plan, groups=(Group.parse("tasks=thumb*"),)), FOUND)
    with pytest.raises(UpError, match=r"No channel matches mail.*http.request, thumbnailer"):
        check(replace(plan, groups=(Group.parse("tasks=mail.*"),)), FOUND)
    with pytest.raises(UpError, match="--workers 0"):
        check(replace(plan, groups=(Group.parse("tasks=*"),)), FOUND)


def test_a_place_where_nobody_can_listen_is_said(plan: Plan) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UpError, match=f"Port {port} of 127.0.0.1 is taken"):
            check_place(replace(plan, port=port))
    check_place(replace(plan, port=port))
    with pytest.raises(UpError, match="Cannot listen on nowhere.invalid"):
        check_place(replace(plan, host="nowhere.invalid"))
    with pytest.raises(UpError, match="folder of the UNIX socket is not there"):
        check_place(replace(plan, unix_socket="run/server.sock"))


def test_what_does_not_keep_it_from_starting_is_a_warning(plan: Plan) -> None:
    found = list(warnings(plan, replace(FOUND, unapplied=3)))
    assert "3 migrations are not applied" in found[0]
    assert "manage.py migrate" in found[0]
    assert "cannot be used: OperationalError" in next(
        warnings(plan, replace(FOUND, database="OperationalError: no"))
    )
