"""``channels-classic down``, ``status`` and ``restart``: what is done with a site that is up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import click

from channels_classic.exceptions import UpError
from channels_classic.up.control import Process, Supervisor
from channels_classic.up.plan import Plan, Program
from channels_classic.up.probe import Probe
from channels_classic.up.project import find_manage, state_of
from channels_classic.up.ready import why_not_ready
from channels_classic.up.site import Site, stop
from channels_classic.up.state import State

WIDE = {"show_default": True, "max_content_width": 100}
manage_option = click.option("--manage", metavar="PATH", help="manage.py.  [default: the one here]")
state_option = click.option(
    "--state",
    metavar="FOLDER",
    help="Folder for sockets, pids and logs; so does CHANNELS_STATE.  [default: .channels beside "
    "manage.py]",
)
timeout_option = click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    default=60.0,
    help="Seconds that a program may take to be ready.",
)


@contextmanager
def told() -> Iterator[None]:
    """What cannot be done ends the command with one line and status 1."""
    try:
        yield
    except UpError as error:
        raise click.ClickException(str(error)) from error


def _at(manage: str | None, state: str | None) -> State:
    """The state folder; with one that is named, no project is needed."""
    return State(Path(state).absolute() if state else state_of(find_manage(manage), None))


@click.command(context_settings=WIDE)
@manage_option
@state_option
def down(manage: str | None, state: str | None) -> None:
    """Stop the site: the server first, Redis last, each when it has finished what is in hand."""
    with told():
        at = _at(manage, state)
        was_up = at.path.is_dir() or at.runs
        if was_up:
            at.make()
            with at.alone():
                was_up = stop(at, click.echo)
    click.echo("The site is down." if was_up else "The site was not up.")


@click.command(context_settings=WIDE)
@manage_option
@state_option
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def status(manage: str | None, state: str | None, as_json: bool) -> None:
    """Show the programs of the site; the status is 0 if all run and the server is ready, else 1."""
    with told():
        seen = _look(_at(manage, state))
    if as_json:
        click.echo(json.dumps(_as_json(seen), indent=2))
    elif not seen.processes:
        raise click.ClickException(seen.problem)
    else:
        for line in _as_lines(seen):
            click.echo(line)
    if seen.problem or not all(each.runs for each in seen.processes):
        raise click.exceptions.Exit(1)


class _Seen(NamedTuple):
    """What there is of a site; no processes when it is not up."""

    address: str
    processes: list[Process]
    #: Why it is not ready.
    problem: str


def _look(state: State) -> _Seen:
    noted, supervisor = state.noted(), Supervisor(state)
    if not (noted and supervisor.answers):
        return _Seen("", [], _why_not_up(state))
    problem = why_not_ready(noted.plan, noted.ready_path)
    return _Seen(noted.plan.address, supervisor.processes(), problem)


def _why_not_up(state: State) -> str:
    names = ", ".join(f"{each.name} ({each.pid})" for each in state.relatives())
    if pid := state.supervisord():
        return (
            f"supervisord ({pid}) does not answer at {state.socket}: channels-classic up ends it, "
            "and starts the site anew"
        )
    if names:
        return (
            f"supervisord was killed, and nobody sees to {names}: channels-classic up ends them, "
            "and starts the site anew"
        )
    return "the site is not up: channels-classic up starts it"


def _as_json(seen: _Seen) -> dict[str, Any]:
    return {
        "address": seen.address,
        "ready": not seen.problem,
        "reason": seen.problem,
        "processes": [
            {"name": p.name, "state": p.state, "pid": p.pid or None, "uptime": p.uptime}
            for p in seen.processes
        ],
    }


def _as_lines(seen: _Seen) -> Iterator[str]:
    width = max(len(each.name) for each in seen.processes)
    for each in seen.processes:
        pid = f"pid {each.pid:<8}" if each.pid else " " * 12
        yield f"{each.name:{width}}  {each.state:8}  {pid}  {each.problem or _hours(each.uptime)}"
    yield f"Not ready: {seen.problem}" if seen.problem else f"Ready: {seen.address}"


def _hours(seconds: int) -> str:
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


@click.command(context_settings=WIDE)
@click.argument("names", nargs=-1, required=True, metavar="WHAT...")
@manage_option
@state_option
@timeout_option
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
    with told():
        at = _at(manage, state)
        noted = at.noted()
        if not (noted and Supervisor(at).answers):
            raise UpError(_why_not_up(at))
        programs = _named(noted.plan, names)
        with at.alone(), _probe(noted.plan) as probe:
            site = Site(noted.plan, at, probe, say=click.echo, timeout=timeout)
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
