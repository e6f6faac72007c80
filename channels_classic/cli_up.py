"""``channels-classic up``, ``down``, ``status`` and ``restart``: a whole site on one machine."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from channels_classic.exceptions import UpError
from channels_classic.up import written
from channels_classic.up.control import Process, Supervisor
from channels_classic.up.plan import Group, Plan, Program
from channels_classic.up.prepare import check, check_place, prepare, warnings
from channels_classic.up.probe import Probe
from channels_classic.up.project import find_manage, find_project, own_command, state_of
from channels_classic.up.ready import why_not_ready
from channels_classic.up.site import Site, hold, stop
from channels_classic.up.state import State

_WIDE = {"show_default": True, "max_content_width": 100}
_manage = click.option("--manage", metavar="PATH", help="manage.py.  [default: the one here]")
_state = click.option(
    "--state",
    metavar="FOLDER",
    help="Folder for sockets, pids and logs; so does CHANNELS_STATE.  [default: .channels beside "
    "manage.py]",
)
_timeout = click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    default=60.0,
    help="Seconds that a program may take to be ready.",
)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except UpError as error:
        raise click.ClickException(str(error)) from error


def _at(manage: str | None, state: str | None) -> State:
    """The state folder; with one that is named, no project is needed."""
    return State(Path(state).absolute() if state else state_of(find_manage(manage), None))


@click.command(context_settings=_WIDE)
@click.argument("target", metavar="[MODULE:ATTRIBUTE]", required=False)
@click.option("-p", "--port", type=click.IntRange(1, 65535), default=8000, help="TCP port.")
@click.option("-b", "--bind", "host", default="127.0.0.1", help="Address to listen on.")
@click.option("-u", "--unix-socket", metavar="PATH", help="Listen on a UNIX socket instead.")
@click.option("--processes", type=click.IntRange(1), default=2, help="Processes of the server.")
@click.option("--workers", type=click.IntRange(0), default=2, help="Workers of all channels.")
@click.option("--threads", type=click.IntRange(1), default=1, help="Threads of each worker.")
@click.option(
    "--group",
    "groups",
    multiple=True,
    metavar="NAME=GLOBS:COUNT",
    help="COUNT workers that read the channels which match GLOBS, and leave these to them: "
    "tasks=thumbnailer,mail.*:2. May be given several times.",
)
@click.option("--delay", is_flag=True, help="Run a delay worker, too.")
@click.option(
    "--redis",
    metavar="private|settings|URL",
    help="The Redis to use: one for this site alone, that of the settings, or the one at URL, of "
    "which REDIS_URL tells the settings.  [default: what REDIS_URL says, else that of the "
    "settings, and a private one if these have none]",
)
@click.option(
    "--proxy-headers",
    multiple=True,
    metavar="NAME",
    help="Whose X-Forwarded-For the server believes: an address, a network or unix.",
)
@click.option(
    "--foreground", is_flag=True, help="Stay, and stop all on SIGTERM: for systemd and containers."
)
@_manage
@_state
@_timeout
@click.option(
    "--print",
    "kind",
    type=click.Choice(list(written.KINDS)),
    help="Start nothing: print the files with which others run the site.",
)
@click.option("--output", metavar="FOLDER", help="Of --print: write the files into this folder.")
@click.option("--site", metavar="PATH", help="Of --print: the project's folder on that machine.")
@click.option("--venv", metavar="PATH", help="Of --print: the virtual environment there.")
@click.option("--user", metavar="NAME", help="Of --print: whom it runs as there.")
@click.option("--domain", default=Plan.domain, help="Of --print nginx: the name of the site.")
def up(
    target: str | None,
    redis: str | None,
    foreground: bool,
    manage: str | None,
    state: str | None,
    timeout: float,
    kind: str | None,
    output: str | None,
    site: str | None,
    venv: str | None,
    **options: Any,
) -> None:
    """Run the whole site on this machine: Redis, the server and the workers.

    \b
      channels-classic up                        the project in this folder
      channels-classic up --workers 4 --port 80
      channels-classic up --group tasks=thumbnailer:2
      channels-classic up --print systemd        for your machine's own init

    supervisord runs them in the background and starts each again that dies. The command ends when
    all are ready. When the site is up already, what has changed in its options is changed.

    MODULE:ATTRIBUTE is a channel layer or an InterfaceServer; by default that in asgi.py beside the
    settings. A private Redis is handed to the settings by the environment variable REDIS_URL.
    """
    with _told():
        where = find_manage(manage)
        plan = _plan(where, target, state, options)
        if kind is not None:
            _print(_elsewhere(plan, redis, site, venv), kind, output)
            return
        if output or site or venv or options["user"]:
            raise click.UsageError("--output, --site, --venv and --user are for --print")
        at = State(plan.state)
        popen = _up(plan, at, redis, timeout=timeout, foreground=foreground)
        if popen is not None:
            hold(popen, at, click.echo)


def _plan(manage: Path, target: str | None, state: str | None, options: dict[str, Any]) -> Plan:
    project = find_project(manage, target)
    groups = tuple(map(Group.parse, options.pop("groups")))
    return Plan(
        folder=project.folder,
        manage=project.manage,
        settings=project.settings,
        target=project.target,
        state=state_of(manage, state),
        python=sys.executable,
        command=own_command(),
        groups=groups,
        **options,
    )


def _elsewhere(plan: Plan, redis: str | None, site: str | None, venv: str | None) -> Plan:
    """The plan for a machine where the site is elsewhere."""
    folder = Path(site).absolute() if site else plan.folder
    commands = Path(venv).absolute() / "bin" if venv else None
    return replace(
        plan,
        folder=folder,
        state=plan.state if site is None else folder / ".channels",
        python=str(commands / "python") if commands else plan.python,
        command=str(commands / "channels-classic") if commands else plan.command,
        redis={None: None, "private": None, "settings": ""}.get(redis, redis),
    )


def _print(plan: Plan, kind: str, output: str | None) -> None:
    folder = Path(output or ".").absolute()
    files = written.KINDS[kind](plan, folder)
    if output is None:
        click.echo(written.as_text(files), nl=False)
    else:
        for path in written.write(files, Path(output)):
            click.echo(path)


def _up(
    plan: Plan, state: State, redis: str | None, *, timeout: float, foreground: bool
) -> subprocess.Popen[str] | None:
    """supervisord's process, when it is to stay in the foreground."""
    state.make()
    with state.alone(), _ended_by_sigterm():
        is_up = Supervisor(state).answers
        if is_up and foreground:
            raise UpError("The site is up already, in the background: channels-classic down first")
        if not is_up:
            _clean_up(state)
            check_place(plan)
        plan, probe = prepare(plan, redis)
        with probe:
            check(plan, probe.findings)
            for warning in warnings(plan, probe.findings):
                click.echo(f"Warning: {warning}", err=True)
            site = Site(plan, state, probe, say=click.echo, timeout=timeout)
            if is_up and not site.must_start_anew():
                what = "The site is up" if site.change() else "The site was up already"
                popen = None
            else:
                stop(state, click.echo)
                popen = site.start(foreground=foreground)
                what = "The site is up"
    _say_where(plan, what, "Ctrl-C" if foreground else "channels-classic down")
    return popen if foreground else None


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """SIGTERM is an exception within the block, so that what has been started is ended."""

    def end(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _clean_up(state: State) -> None:
    """End what a supervisord has left that was killed."""
    orphans = state.relatives()
    if orphans:
        names = ", ".join(f"{each.name} ({each.pid})" for each in orphans)
        click.echo(f"supervisord was killed; ending what it has left: {names}")
        stop(state, click.echo)


def _say_where(plan: Plan, what: str, ends: str) -> None:
    click.echo(f"\n{what}: {plan.address}")
    click.echo(f"Logs: {plan.state}")
    click.echo(f"channels-classic status shows how it is, {ends} stops it.")


# The other commands ---------------------------------------------------------------------------


@click.command(context_settings=_WIDE)
@_manage
@_state
def down(manage: str | None, state: str | None) -> None:
    """Stop the site: the server first, Redis last, each when it has finished what is in hand."""
    with _told():
        at = _at(manage, state)
        if not at.path.is_dir():
            was_up = False
        else:
            with at.alone():
                was_up = stop(at, click.echo)
    click.echo("The site is down." if was_up else "The site was not up.")


@click.command(context_settings=_WIDE)
@_manage
@_state
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def status(manage: str | None, state: str | None, as_json: bool) -> None:
    """Show the programs of the site; the status is 0 if all run and the server is ready, else 1."""
    with _told():
        at = _at(manage, state)
        supervisor = Supervisor(at)
        noted = at.noted()
        if not (noted and at.socket.exists() and supervisor.answers):
            raise click.ClickException(_why_not_up(at))
        plan = Plan.from_json(noted["plan"])
        processes = supervisor.processes()
    problem = why_not_ready(plan, noted["ready_path"])
    if as_json:
        click.echo(json.dumps(_as_json(plan, processes, problem), indent=2))
    else:
        for line in _as_lines(plan, processes, problem):
            click.echo(line)
    if problem or not all(each.runs for each in processes):
        raise click.exceptions.Exit(1)


def _why_not_up(state: State) -> str:
    orphans = state.relatives() if state.path.is_dir() else []
    if not orphans:
        return "the site is not up: channels-classic up starts it"
    names = ", ".join(f"{each.name} ({each.pid})" for each in orphans)
    return (
        f"supervisord was killed; nobody starts again what dies of {names}: channels-classic up "
        "ends them and starts the site anew"
    )


def _as_json(plan: Plan, processes: list[Process], problem: str) -> dict[str, Any]:
    return {
        "address": plan.address,
        "ready": not problem,
        "reason": problem,
        "processes": [
            {"name": p.name, "state": p.state, "pid": p.pid or None, "uptime": p.uptime}
            for p in processes
        ],
    }


def _as_lines(plan: Plan, processes: list[Process], problem: str) -> Iterator[str]:
    width = max(len(each.name) for each in processes)
    for each in processes:
        pid = f"pid {each.pid:<8}" if each.pid else " " * 12
        since = f"{each.uptime // 3600}:{each.uptime // 60 % 60:02}:{each.uptime % 60:02}"
        yield f"{each.name:{width}}  {each.state:8}  {pid}  {each.problem or since}"
    yield f"Not ready: {problem}" if problem else f"Ready: {plan.address}"


@click.command(context_settings=_WIDE)
@click.argument("names", nargs=-1, required=True, metavar="WHAT...")
@_manage
@_state
@_timeout
def restart(names: tuple[str, ...], manage: str | None, state: str | None, timeout: float) -> None:
    """Restart workers, the server or the delay worker, without closing a socket where it can be.

    \b
      channels-classic restart workers   new code of yours: all of them, one after the other
      channels-classic restart tasks     the workers of one group
      channels-classic restart delay     the delay worker
      channels-classic restart server    a new release, certificate or setting of the server

    Each worker finishes the message in hand; the next one has its turn when the new one takes
    messages. Sockets stay open. Of the server a new process takes the place of each, by SIGHUP: no
    request is lost, and sockets are closed with 1012, for browsers to connect again.

    Nothing is restarted when the settings cannot be loaded.
    """
    with _told():
        at = _at(manage, state)
        noted = at.noted()
        if not (noted and at.socket.exists() and Supervisor(at).answers):
            raise UpError(_why_not_up(at))
        plan = Plan.from_json(noted["plan"])
        programs = _named(plan, names)
        with at.alone(), _probe(plan) as probe:
            site = Site(plan, at, probe, say=click.echo, timeout=timeout)
            for each in programs:
                (site.reload if each.reloads else site.restart)(each)


def _probe(plan: Plan) -> Probe:
    return Probe(plan.target, python=plan.python, folder=plan.folder, environment=plan.environment)


def _named(plan: Plan, names: tuple[str, ...]) -> list[Program]:
    """The programs that ``names`` stand for, each once."""
    known: dict[str, list[Program]] = {each.name: [each] for each in plan.programs()}
    known["workers"] = plan.worker_programs()
    known.pop("redis", None)  # a bus that restarts is an outage: kill it for that
    found: dict[str, Program] = {}
    for name in names:
        if name not in known:
            raise UpError(f"there is no {name!r} to restart, but {', '.join(sorted(known))}")
        found.update({each.name: each for each in known[name]})
    return list(found.values())
