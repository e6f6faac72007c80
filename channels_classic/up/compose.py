"""Containers for a plan: proxy, WSGI server, interface server, workers, Redis and database."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from channels_classic.exceptions import UpError
from channels_classic.up.plan import Plan, Program

_FOLDER = Path(__file__).parent / "files"
#: The network of the containers: what comes from it comes from the proxy.
_SUBNET = "172.30.90.0/24"

#: The services that are none of the plan's programs.
_SERVICES = ("proxy", "wsgi", "asgi", "setup", "redis", "db")

_COMPOSE = """\
# A proxy, pages from a WSGI server, sockets and event streams from the interface server, workers,
# Redis and a database. In this folder:
#     SECRET_KEY=… POSTGRES_PASSWORD=… docker compose up --build --detach
# The site is at http://localhost:9000/. After a change of code, the same command again.

x-site: &site
  image: site
  build:
    context: {context}
    dockerfile: {dockerfile}
    args:
      SITE: {site}
  restart: unless-stopped
  environment:
    DJANGO_SETTINGS_MODULE: {settings}
    REDIS_URL: redis://redis:6379/0
    POSTGRES_HOST: db
    POSTGRES_PASSWORD: ${{POSTGRES_PASSWORD:?choose a password for the database}}
    SECRET_KEY: ${{SECRET_KEY:?set it to a long random string}}
    ALLOWED_HOSTS: ${{ALLOWED_HOSTS:-localhost}}
    DEBUG: "0"
    VAR_FOLDER: /srv/var
  volumes:
    - var:/srv/var
  depends_on:
    redis:
      condition: service_healthy
    setup:
      condition: service_completed_successfully

services:
  proxy:
    image: nginx:1.28
    restart: unless-stopped
    ports:
      - "9000:9000"
    volumes:
      - ./site.conf:/etc/nginx/conf.d/default.conf:ro
      - ./proxy.conf:/etc/nginx/channels/proxy.conf:ro
      - ./upgrade.conf:/etc/nginx/channels/upgrade.conf:ro
      - var:/srv/var:ro
    depends_on:
      - wsgi
      - asgi

  wsgi:
    <<: *site
    command: gunicorn {wsgi} --bind 0.0.0.0:8001 --workers 3 --forwarded-allow-ips *

  asgi:
    <<: *site
    command: {server}
    stop_grace_period: {server_ends}s
    healthcheck:
      test: [CMD, channels-classic, health, --url, "http://127.0.0.1:8000/-/readyz"]
      interval: 10s
      timeout: 6s
{workers}
  setup:
    <<: *site
    command: sh -c "python {manage} migrate && python {manage} collectstatic --no-input"
    restart: "no"
    depends_on:
      db:
        condition: service_healthy

  redis:
    image: redis:7.4
    restart: unless-stopped
    # Messages are worth seconds, so nothing is written to disk.
    command: redis-server --save "" --appendonly no --maxmemory-policy noeviction
    healthcheck:
      test: [CMD, redis-cli, ping]
      interval: 5s

  db:
    image: postgres:17
    restart: unless-stopped
    environment:
      POSTGRES_PASSWORD: ${{POSTGRES_PASSWORD:?choose a password for the database}}
    volumes:
      - db:/var/lib/postgresql/data
    healthcheck:
      test: [CMD, pg_isready, --username, postgres]
      interval: 5s

volumes:
  var:
  db:

networks:
  default:
    ipam:
      config:
        - subnet: {subnet}
"""
_WORKER = """
  {name}:
    <<: *site
    command: {command}
    stop_grace_period: {ends_within}s{replicas}
"""
_REPLICAS = "\n    deploy:\n      replicas: {copies}"


def files(plan: Plan, output: Path) -> dict[str, str]:
    """The files, by their names, for the folder ``output``; ``UpError``."""
    for group in plan.groups:
        if group.name in _SERVICES:
            raise UpError(
                f"Compose has a service named {group.name!r} already: give the group of workers "
                f"another name, and none of {', '.join(_SERVICES)}"
            )
    texts = [*_FOLDER.joinpath("compose").iterdir()]
    texts += [_FOLDER / "nginx" / name for name in ("proxy.conf", "upgrade.conf")]
    found = {path.name: path.read_text(encoding="utf-8") for path in texts}
    return {**found, "compose.yml": _compose(plan, output)}


def _compose(plan: Plan, output: Path) -> str:
    context = _context(plan.folder)
    site = replace(
        plan,
        python="python",
        command="channels-classic",
        host="0.0.0.0",
        metrics_host="0.0.0.0",
        port=8000,
        unix_socket=None,
        proxy_headers=(_SUBNET,),
        redis="",
    )
    *workers, server = site.programs()
    return _COMPOSE.format(
        context=os.path.relpath(context, output),
        dockerfile=os.path.relpath(output / "Dockerfile", context),
        site=os.path.relpath(plan.folder, context),
        settings=plan.settings,
        wsgi=plan.wsgi,
        manage=plan.manage,
        server=server.line,
        server_ends=server.ends_within,
        workers="".join(map(_worker, workers)),
        subnet=_SUBNET,
    )


def _worker(program: Program) -> str:
    many = (program.copies or 1) > 1
    return _WORKER.format(
        name=program.name,
        command=program.line,
        ends_within=program.ends_within,
        replicas=_REPLICAS.format(copies=program.copies) if many else "",
    )


def _context(folder: Path) -> Path:
    """What is sent to the engine: the repository, or else the project."""
    return next((each for each in (folder, *folder.parents) if (each / ".git").exists()), folder)
