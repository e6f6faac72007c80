"""``channels-classic up``: a whole site on this machine, or the files for others to run it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from channels_classic.cli_site import WIDE, manage_option, state_option, timeout_option, told
from channels_classic.exceptions import UpError
from channels_classic.notify import say_ready
from channels_classic.up import written
from channels_classic.up.control import Supervisor
from channels_classic.up.plan import METRICS_PATH, Group, Plan
from channels_classic.up.prepare import check, check_place, prepare, warnings
from channels_classic.up.project import find_manage, find_project, own_command, state_of
from channels_classic.up.site import Site, hold, stop
from channels_classic.up.state import State


@click.command(context_settings=WIDE)
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
    "--metrics",
    type=click.IntRange(1, 65535),
    metavar="PORT",
    help="Have metrics for Prometheus: the server's at /-/metrics, and each worker's on the first "
    "free one of a hundred ports from PORT on, for this machine alone. Needs the extra metrics.",
)
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
@manage_option
@state_option
@timeout_option
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
    all are ready. When the site is up already, what has changed in the options is changed; one that
    is not given has its default again.

    MODULE:ATTRIBUTE is a channel layer or an InterfaceServer; by default that in asgi.py beside the
    settings. A private Redis is handed to the settings by the environment variable REDIS_URL.
    """
    with told():
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
        if not (is_up and (noted := state.noted()) and noted.plan.place == plan.place):
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
    say_ready()
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
    """End what a supervisord has left that was killed, or that answers no more."""
    if state.runs:
        how = "does not answer" if state.supervisord() else "was killed"
        names = ", ".join(f"{each.name} ({each.pid})" for each in state.relatives())
        click.echo(f"supervisord {how}; ending what it has left: {names}")
        stop(state, click.echo)


def _say_where(plan: Plan, what: str, ends: str) -> None:
    click.echo(f"\n{what}: {plan.address}")
    if plan.metrics:
        where = f"the server's at {METRICS_PATH}, the workers' on ports {plan.metrics_ports}"
        click.echo(f"Metrics: {where}")
    click.echo(f"Logs: {plan.state}")
    click.echo(f"channels-classic status shows how it is, {ends} stops it.")
