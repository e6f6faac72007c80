"""Written: what is in deploy/ is what is written, and what reads such files can read it."""

from __future__ import annotations

import configparser
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path
from textwrap import dedent

import pytest
import yaml
from compose_spec import PyOptions
from supervisor.datatypes import dict_of_key_value_pairs

from channels_classic.exceptions import UpError
from channels_classic.up import site, written
from channels_classic.up.plan import Group, Plan
from channels_classic.up.systemd import units
from tests.acceptance.processes import free_port

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
#: What the files of deploy/ are for: the example site on a machine of its own, behind nginx.
REFERENCE = Plan(
    folder=Path("/srv/site"),
    state=Path("/srv/site/.channels"),
    target="project.asgi:channel_layer",
    settings="project.settings",
    python="/srv/site/venv/bin/python",
    command="/srv/site/venv/bin/channels-classic",
    user="site",
    proxy_headers=("127.0.0.1",),
)
#: All that there can be, with paths and names that need quotes.
LARGE = replace(
    REFERENCE,
    folder=Path("/srv/my site/50%"),
    groups=(Group.parse("tasks=thumbnailer,mail.*:3"),),
    delay=True,
    threads=4,
    port=80,
    redis="unix:///run/the%20bus/redis.sock",
)


@pytest.mark.parametrize("kind", written.KINDS)
def test_what_is_in_deploy_is_what_is_written(kind: str) -> None:
    plan = replace(REFERENCE, folder=ROOT / "workers") if kind == "compose" else REFERENCE
    files = written.KINDS[kind](plan, DEPLOY / kind)
    there = {path.name: path.read_text(encoding="utf-8") for path in (DEPLOY / kind).iterdir()}
    assert there == files, "make deploy-files writes them anew"


def test_several_files_are_printed_with_their_names() -> None:
    assert written.as_text({"a": "1\n"}) == "1\n"
    assert written.as_text({"b": "2\n", "a": "1\n"}) == "# ==> a <==\n1\n\n# ==> b <==\n2\n"


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UpError, match="cannot write to"):
        written.write({"a": "1\n"}, tmp_path / "file")


# supervisord ------------------------------------------------------------------------------


def test_supervisord_gets_the_words_of_each_command() -> None:
    [text] = written.KINDS["supervisor"](LARGE, Path()).values()
    parser = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"), strict=True)
    parser.read_string(text)
    environment = parser["supervisord"]["environment"] % {}
    assert dict_of_key_value_pairs(environment) == LARGE.environment
    for program in LARGE.programs():
        section = parser[f"program:{program.name}"]
        assert tuple(shlex.split(section["command"] % {})) == program.command
        assert section["directory"] % {} == "/srv/my site/50%"
        assert int(section.get("numprocs", "1")) == (program.copies or 1)


def test_a_path_that_supervisord_would_take_for_a_comment_is_refused() -> None:
    with pytest.raises(UpError, match="reads a part of it as a comment"):
        written.KINDS["supervisor"](replace(REFERENCE, folder=Path("/srv/site #2")), Path())


# systemd ----------------------------------------------------------------------------------


@pytest.mark.parametrize("plan", [REFERENCE, LARGE], ids=["reference", "large"])
def test_systemd_has_nothing_to_say_against_the_units(plan: Plan, tmp_path: Path) -> None:
    here = replace(plan, python=sys.executable, command=sys.executable, user="root")
    paths = written.write(written.KINDS["systemd"](here, tmp_path), tmp_path)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *paths],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_unit_of_the_documentation_leaves_all_the_time_to_end(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "deploying.rst").read_text(encoding="utf-8")
    block = page.split("site.service\n\n")[1].split("\n\nIt is started")[0]
    unit = configparser.RawConfigParser()
    unit.read_string(text := dedent(block))
    assert unit["Service"]["KillMode"] == "mixed"  # or workers get two signals
    longest = sum(each.ends_within for each in replace(REFERENCE, redis=None).programs())
    assert int(unit["Service"]["TimeoutStopSec"]) > longest + site._SLACK
    file = tmp_path / "site.service"
    command = unit["Service"]["ExecStart"].split()[0]
    file.write_text(text.replace(command, sys.executable).replace("User=site", "User=root"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", file], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_systemd_would_say_what_is_wrong(tmp_path: Path) -> None:
    text = written.KINDS["systemd"](REFERENCE, tmp_path)["channels-server.service"]
    file = tmp_path / "channels-server.service"
    file.write_text(text.replace("Restart=always", "Restart=sometimes"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", file], capture_output=True, text=True, check=False
    )
    assert "sometimes" in done.stderr


def test_the_target_wants_each_process() -> None:
    target = written.KINDS["systemd"](LARGE, Path())["channels.target"]
    [line] = [line for line in target.splitlines() if line.startswith("Wants=")]
    assert line.removeprefix("Wants=").split() == [
        "channels-worker@1.service",
        "channels-worker@2.service",
        *(f"channels-tasks@{n}.service" for n in (1, 2, 3)),
        "channels-delay.service",
        "channels-server.service",
    ]
    assert [unit for each in LARGE.programs() for unit in units(each)] == line[6:].split()


def test_a_low_port_needs_no_root() -> None:
    text = written.KINDS["systemd"](LARGE, Path())["channels-server.service"]
    assert "AmbientCapabilities=CAP_NET_BIND_SERVICE" in text
    assert "Environment=REDIS_URL=unix:///run/the%%20bus/redis.sock" in text
    assert "WorkingDirectory=/srv/my site/50%%" in text


@pytest.mark.parametrize(
    ("kind", "where"),
    [("systemd", "/etc/channels/environment"), ("supervisor", "the environment of supervisord")],
)
@pytest.mark.parametrize(
    "url", ["redis://:secret@10.0.0.1:6379/0", "unix:///run/redis.sock?password=secret"]
)
def test_a_password_is_not_written_where_everybody_can_read_it(
    kind: str, where: str, url: str
) -> None:
    with pytest.raises(UpError, match=f"REDIS_URL=… into {where}.*--redis settings") as refused:
        written.KINDS[kind](replace(REFERENCE, redis=url), Path())
    assert "secret" not in str(refused.value)
    assert "REDIS_URL" not in "".join(
        written.KINDS[kind](replace(REFERENCE, redis=""), Path()).values()
    )


# compose ----------------------------------------------------------------------------------


def test_the_compose_file_keeps_to_the_specification() -> None:
    text = (DEPLOY / "compose" / "compose.yml").read_text(encoding="utf-8")
    found = PyOptions(apply_merge=True).from_yaml(text)
    assert set(found.services or ()) == {
        *("proxy", "wsgi", "asgi", "worker", "redis", "db", "setup"),
    }
    with pytest.raises(ValueError, match="stop_grace_perod"):
        PyOptions(apply_merge=True).from_yaml(text.replace("stop_grace_period", "stop_grace_perod"))


def test_each_group_of_workers_is_a_service() -> None:
    plan = replace(LARGE, folder=ROOT / "workers")
    services = yaml.safe_load(written.KINDS["compose"](plan, DEPLOY / "compose")["compose.yml"])[
        "services"
    ]
    assert services["tasks"]["deploy"] == {"replicas": 3}
    assert services["delay"]["command"] == "python manage.py rundelay"
    assert shlex.split(services["tasks"]["command"])[3:5] == [
        "--only-channels=thumbnailer",
        "--only-channels=mail.*",
    ]


def test_a_group_cannot_take_the_name_of_another_service() -> None:
    services = yaml.safe_load((DEPLOY / "compose" / "compose.yml").read_text())["services"]
    for name in set(services) - {"worker"}:  # which no group can be called anywhere
        plan = replace(REFERENCE, groups=(Group(name, ("mail",)),))
        with pytest.raises(UpError, match=f"has a service named '{name}' already: give the group"):
            written.KINDS["compose"](plan, Path())


def test_hadolint_has_nothing_to_say_against_the_dockerfile(tmp_path: Path) -> None:
    hadolint = str(Path(sys.executable).with_name("hadolint"))
    file = DEPLOY / "compose" / "Dockerfile"
    done = subprocess.run([hadolint, file], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    wrong = tmp_path / "Dockerfile"
    wrong.write_text(file.read_text().replace("python:3.13-slim", "python"))
    done = subprocess.run([hadolint, wrong], capture_output=True, text=True, check=False)
    assert "DL3006" in done.stdout


@pytest.mark.parametrize("path", [".env", "workers/.env", "workers/project/.env.local", ".envrc"])
def test_no_secrets_of_the_developer_get_into_the_image(path: str) -> None:
    lines = (DEPLOY / "compose" / "Dockerfile.dockerignore").read_text().splitlines()
    everywhere = [line.removeprefix("**/") for line in lines if line.startswith("**/")]
    assert any(fnmatch(Path(path).name, pattern) for pattern in everywhere)
    assert not any(fnmatch("settings.py", pattern) for pattern in everywhere)


# nginx ------------------------------------------------------------------------------------


def test_the_sites_of_nginx_have_the_places_of_the_plan() -> None:
    plan = replace(REFERENCE, folder=Path("/srv/shop"), port=9001, domain="shop.example.org")
    site = written.KINDS["nginx"](plan, Path())["everything.conf"]
    assert "server 127.0.0.1:9001;" in site
    assert "ssl_certificate /etc/ssl/certs/shop.example.org.pem;" in site
    assert "alias /srv/shop/static/;" in site
    assert "--port 9001 --proxy-headers 127.0.0.1" in site
    socket = replace(plan, unix_socket="/run/site/server.sock")
    site = written.KINDS["nginx"](socket, Path())["beside-wsgi.conf"]
    assert "server unix:/run/site/server.sock;" in site
    assert "--unix-socket /run/site/server.sock --proxy-headers unix" in site


@pytest.mark.parametrize("name", ["everything.conf", "beside-wsgi.conf"])
def test_nginx_takes_a_path_with_a_space_for_one_word(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "my site"
    plan = replace(REFERENCE, folder=folder, unix_socket="server.sock", domain="localhost")
    site = written.KINDS["nginx"](plan, tmp_path)[name]
    assert f"--unix-socket '{folder}/server.sock' --proxy-headers unix" in site
    # What comes with the machine and not with the plan.
    site = re.sub("^ +ssl_certificate.*$", "", site, flags=re.MULTILINE)
    site = site.replace("/etc/nginx/channels/", f"{DEPLOY}/nginx/")
    site = re.sub("listen .*;", lambda _: f"listen 127.0.0.1:{free_port()};", site)
    log = f"error_log {tmp_path}/log; pid {tmp_path}/pid; events {{}}"
    temporary = " ".join(
        f"{each}_temp_path {tmp_path}/{each};"
        for each in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    conf = tmp_path / "nginx.conf"
    conf.write_text(f"{log} http {{ {temporary} {site} }}")
    found = nginx_says(conf)
    assert "syntax is ok" in found, found
    conf.write_text(
        conf.read_text().replace('alias "', "alias ").replace('/static/";', "/static/;")
    )
    assert 'invalid number of arguments in "alias" directive' in nginx_says(conf)


def nginx_says(conf: Path) -> str:
    """Of a file."""
    done = subprocess.run(
        ["nginx", "-t", "-c", str(conf), "-e", str(conf.with_suffix(".log"))],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stderr


def test_a_name_that_would_be_more_than_a_name_for_nginx_is_refused() -> None:
    with pytest.raises(UpError, match="nginx cannot be told"):
        written.KINDS["nginx"](replace(REFERENCE, domain="a; include /etc/passwd"), Path())
    with pytest.raises(UpError, match="nginx cannot be told 'a b'"):  # two names, one certificate
        written.KINDS["nginx"](replace(REFERENCE, domain="a b"), Path())
    with pytest.raises(UpError, match="nginx cannot be told"):
        written.KINDS["nginx"](replace(REFERENCE, folder=Path('/srv/"; include /x; "')), Path())
