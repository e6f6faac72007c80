"""Plan: which programs a site consists of; what writes their files puts this into words."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from channels_classic.exceptions import UpError

#: Seconds that a worker has for the messages in hand, and a server for its requests
#: (``--graceful-timeout``) and sockets, before they are killed.
WORKER_ENDS, SERVER_ENDS, REDIS_ENDS = 60, 50, 10

#: Where the server shows metrics. deploy/nginx keeps strangers from all of /-/.
METRICS_PATH = "/-/metrics"
#: How many ports the workers have for their metrics.
METRICS_PORTS = 100

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,30}")
_TAKEN = ("redis", "server", "worker", "workers", "delay")


@dataclass(frozen=True)
class Group:
    """``workers`` processes that read the channels which match ``globs``, and no others."""

    name: str
    globs: tuple[str, ...]
    workers: int = 1

    @classmethod
    def parse(cls, text: str) -> Group:
        """The group that ``NAME=GLOBS:COUNT`` stands for; ``UpError``."""
        name, is_named, rest = text.partition("=")
        globs, _, count = rest.partition(":")
        names = tuple(glob for glob in globs.split(",") if glob)
        if not is_named or not names or not (count or "1").isdecimal() or count == "0":
            raise UpError(f"{text!r} is not NAME=GLOBS:COUNT, as in tasks=thumbnailer,mail.*:2")
        if not _NAME.fullmatch(name) or name in _TAKEN:
            raise UpError(
                f"{name!r} cannot be the name of a group of workers: lower-case letters, digits "
                f"and hyphens, and not {', '.join(_TAKEN)}"
            )
        return cls(name, names, int(count or 1))


@dataclass(frozen=True, kw_only=True)
class Program:
    """One command that is to run, in ``copies`` processes."""

    name: str
    #: What it is, in a sentence or two, for the comment in its file.
    text: str
    command: tuple[str, ...]
    #: Seconds from SIGTERM to SIGKILL.
    ends_within: int
    #: None where there is always one.
    copies: int | None = None
    #: Whether it replaces its own processes on SIGHUP.
    reloads: bool = False

    @property
    def line(self) -> str:
        """The command as a shell would take it."""
        return shlex.join(self.command)

    @property
    def processes(self) -> list[str]:
        """The names of its processes, as supervisord has them."""
        if self.copies is None:
            return [self.name]
        return [f"{self.name}-{number}" for number in range(self.copies)]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a site consists of, and where it is.

    ``folder`` is that of the project, ``state`` that of sockets, pids and logs; ``python`` and
    ``command`` are the interpreter and ``channels-classic``; ``target`` is MODULE:ATTRIBUTE.
    ``redis`` is the URL of a Redis that others run, None for a private one, whose program is
    ``redis_program``; "" leaves all of that to the project. With ``metrics`` the server shows
    figures at ``METRICS_PATH``, and each worker on a port from that one on.
    """

    folder: Path
    state: Path
    target: str
    settings: str
    python: str
    command: str
    manage: str = "manage.py"
    host: str = "127.0.0.1"
    port: int = 8000
    unix_socket: str | None = None
    processes: int = 2
    workers: int = 2
    threads: int = 1
    groups: tuple[Group, ...] = ()
    delay: bool = False
    metrics: int | None = None
    #: Where workers listen for who asks for them.
    metrics_host: str = "127.0.0.1"
    redis: str | None = None
    redis_program: str = "redis-server"
    user: str | None = None
    #: Whose ``X-Forwarded-…`` the server believes.
    proxy_headers: tuple[str, ...] = ()
    #: The name of the site, for a proxy in front.
    domain: str = "www.example.com"

    def __post_init__(self) -> None:
        names = [group.name for group in self.groups]
        for name in names:
            if names.count(name) > 1:
                raise UpError(f"there are two groups of workers named {name!r}")

    @property
    def redis_socket(self) -> Path:
        """Where the private Redis listens."""
        return self.state / "redis.sock"

    @property
    def redis_url(self) -> str:
        """What the site's settings are told; "" when they are told nothing."""
        return f"unix://{quote(str(self.redis_socket))}" if self.redis is None else self.redis

    @property
    def tells_password(self) -> bool:
        """Whether the password of Redis is part of what the programs are told."""
        return "@" in self.redis_url or "password=" in self.redis_url

    @property
    def environment(self) -> dict[str, str]:
        """What all programs have in their environment."""
        found = {"DJANGO_SETTINGS_MODULE": self.settings, "REDIS_URL": self.redis_url}
        return {name: value for name, value in found.items() if value}

    @property
    def place(self) -> tuple[str, int] | str:
        """Where the server listens."""
        return self.unix_socket or (self.host, self.port)

    @property
    def address(self) -> str:
        """Where the site is, for a person on this machine."""
        if self.unix_socket:
            return f"unix:{self.unix_socket}"
        return f"http://{self.reached_host}:{self.port}/"

    @property
    def metrics_ports(self) -> str:
        """Of which each worker takes the first that is free, so that one command is for all."""
        first = self.metrics or 0
        return f"{first}-{min(first + METRICS_PORTS - 1, 65535)}"

    @property
    def reached_host(self) -> str:
        """How the server's address is written in a URL, on this machine."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        return f"[{host}]" if ":" in host else host

    @property
    def wsgi(self) -> str:
        """The way in for WSGI servers, beside that for ours."""
        module = self.target.partition(":")[0]
        return f"{module.rpartition('.')[0]}.wsgi".removeprefix(".")

    def programs(self) -> list[Program]:
        """All of them; whoever answers comes before whoever asks."""
        private = [self._redis()] if self.redis is None else []
        delay = [self._delay()] if self.delay else []
        return [*private, *self.worker_programs(), *delay, self._server()]

    def worker_programs(self) -> list[Program]:
        """Those that run consumers."""
        return list(self._worker_programs())

    def _worker_programs(self) -> Iterator[Program]:
        others = [glob for group in self.groups for glob in group.globs]
        if self.workers:
            rest = " It leaves alone what the groups below read." if others else ""
            yield self._worker(
                "worker",
                "Any number of workers may run; each takes what comes next. TERM lets the message "
                f"in hand finish.{rest}",
                self.workers,
                [f"--exclude-channels={glob}" for glob in others],
            )
        for group in self.groups:
            yield self._worker(
                group.name,
                f"Workers for {', '.join(group.globs)} alone.",
                group.workers,
                [f"--only-channels={glob}" for glob in group.globs],
            )

    def _worker(self, name: str, text: str, copies: int, options: list[str]) -> Program:
        threads = [f"--threads={self.threads}"] if self.threads > 1 else []
        metrics = [f"--metrics={self.metrics_host}:{self.metrics_ports}"] if self.metrics else []
        return Program(
            name=name,
            text=text,
            command=(self.python, self.manage, "runworker", *options, *threads, *metrics),
            copies=copies,
            ends_within=WORKER_ENDS,
        )

    def _redis(self) -> Program:
        options = ["--port", "0", "--unixsocket", str(self.redis_socket)]
        options += ["--unixsocketperm", "700", "--dir", str(self.state)]
        options += ["--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction"]
        options += ["--set-proc-title", "no"]  # the title would take the place of its environment
        return Program(
            name="redis",
            text="Messages are worth seconds, so nothing is written to disk.",
            command=(self.redis_program, *options),
            ends_within=REDIS_ENDS,
        )

    def _delay(self) -> Program:
        return Program(
            name="delay",
            text="Sends what waits in the database when it is due.",
            command=(self.python, self.manage, "rundelay"),
            ends_within=WORKER_ENDS,
        )

    def _server(self) -> Program:
        if self.unix_socket:
            place = ["--unix-socket", self.unix_socket]
        else:
            place = ["--bind", self.host, "--port", str(self.port)]
        return Program(
            name="server",
            text="TERM lets requests in flight finish and tells sockets to come back: up to 30 "
            "seconds. HUP does so with one process after the other, while the others serve.",
            command=(
                *(self.command, "server", self.target, *place),
                *("--processes", str(self.processes)),
                *(word for each in self.proxy_headers for word in ("--proxy-headers", each)),
                *(("--metrics-path", METRICS_PATH) if self.metrics else ()),
            ),
            ends_within=SERVER_ENDS,
            reloads=True,
        )

    def to_json(self) -> dict[str, Any]:
        """What ``from_json`` makes the same plan of."""
        paths = {"folder": str(self.folder), "state": str(self.state)}
        return {**asdict(self), **paths}

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Plan:
        """The plan that was noted."""
        groups = tuple(Group(g["name"], tuple(g["globs"]), g["workers"]) for g in found["groups"])
        paths = {"folder": Path(found["folder"]), "state": Path(found["state"])}
        believed = {"proxy_headers": tuple(found["proxy_headers"])}
        return cls(**{**found, **paths, **believed, "groups": groups})
