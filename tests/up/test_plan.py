"""Plan: which programs there are, with which commands, whatever is to run them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from channels_classic.exceptions import UpError
from channels_classic.up.plan import Group, Plan


def plan(**options: Any) -> Plan:
    """A plan in which only ``options`` are of interest."""
    defaults: dict[str, Any] = {
        "folder": Path("/srv/site"),
        "state": Path("/srv/site/.channels"),
        "target": "project.asgi:channel_layer",
        "settings": "project.settings",
        "python": "/venv/python",
        "command": "/venv/channels-classic",
    }
    return Plan(**{**defaults, **options})


def commands(**options: Any) -> dict[str, str]:
    return {each.name: each.line for each in plan(**options).programs()}


def test_redis_the_workers_and_the_server_run_in_this_order() -> None:
    found = commands()
    assert list(found) == ["redis", "worker", "server"]
    assert found["worker"] == "/venv/python manage.py runworker"
    assert found["server"] == (
        "/venv/channels-classic server project.asgi:channel_layer --bind 127.0.0.1 --port 8000 "
        "--processes 2"
    )
    assert "--unixsocket /srv/site/.channels/redis.sock" in found["redis"]


def test_what_a_group_reads_is_left_to_it() -> None:
    groups = (Group.parse("tasks=thumbnailer,mail.*:3"), Group.parse("slow=reports"))
    found = {each.name: each for each in plan(groups=groups, threads=4).programs()}
    assert found["tasks"].processes == ["tasks-0", "tasks-1", "tasks-2"]
    assert found["slow"].processes == ["slow-0"]
    assert found["tasks"].command[3:] == (
        "--only-channels=thumbnailer",
        "--only-channels=mail.*",
        "--threads=4",
    )
    assert found["worker"].command[3:] == (
        "--exclude-channels=thumbnailer",
        "--exclude-channels=mail.*",
        "--exclude-channels=reports",
        "--threads=4",
    )


def test_workers_share_the_ports_of_their_metrics_whatever_their_group() -> None:
    found = commands(metrics=9100, groups=(Group.parse("tasks=mail.*:2"),))
    assert found["server"].endswith(" --metrics-path /-/metrics")
    assert found["worker"].endswith(" --metrics=127.0.0.1:9100-9199")
    assert found["tasks"].endswith(" --metrics=127.0.0.1:9100-9199")
    assert not any("metrics" in each for each in commands().values())
    assert plan(metrics=65500).metrics_ports == "65500-65535"


def test_groups_may_do_without_workers_for_all() -> None:
    assert "worker" not in commands(workers=0, groups=(Group.parse("all=*:2"),))


@pytest.mark.parametrize(
    "text", ["tasks", "tasks=", "tasks=a:0", "tasks=a:many", "=a:1", "tasks=:1"]
)
def test_a_group_that_makes_no_sense_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UpError, match="tasks=thumbnailer|cannot be the name"):
        Group.parse(text)


@pytest.mark.parametrize("name", ["worker", "redis", "Tasks", "a b", "x" * 40])
def test_a_group_has_a_name_of_its_own(name: str) -> None:
    with pytest.raises(UpError, match="cannot be the name of a group"):
        Group.parse(f"{name}=a:1")


def test_two_groups_of_one_name_are_refused() -> None:
    with pytest.raises(UpError, match="two groups of workers named 'tasks'"):
        plan(groups=(Group.parse("tasks=a"), Group.parse("tasks=b")))


def test_a_private_redis_is_told_to_the_site_and_another_one_too() -> None:
    private = plan(state=Path("/srv/a site/.channels"))
    assert private.environment["REDIS_URL"] == "unix:///srv/a%20site/.channels/redis.sock"
    assert plan(redis="redis://bus:6379").environment["REDIS_URL"] == "redis://bus:6379"
    assert "REDIS_URL" not in plan(redis="").environment
    assert list(commands(redis="")) == ["worker", "server"]


@pytest.mark.parametrize(
    ("options", "address"),
    [
        ({}, "http://127.0.0.1:8000/"),
        ({"host": "0.0.0.0", "port": 80}, "http://127.0.0.1:80/"),
        ({"host": "::"}, "http://[::1]:8000/"),
        ({"unix_socket": "/run/site.sock"}, "unix:/run/site.sock"),
    ],
)
def test_the_address_is_one_that_can_be_opened_here(options: dict[str, Any], address: str) -> None:
    assert plan(**options).address == address


def test_a_plan_that_was_noted_is_the_same_again() -> None:
    noted = plan(groups=(Group.parse("tasks=a,b:2"),), proxy_headers=("10.0.0.1",), delay=True)
    assert Plan.from_json(json.loads(json.dumps(noted.to_json()))) == noted


def test_the_way_in_for_wsgi_servers_is_beside_ours() -> None:
    assert plan().wsgi == "project.wsgi"
    assert plan(target="asgi:layer").wsgi == "wsgi"
