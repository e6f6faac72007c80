"""Prepare: which Redis a site is to have, and whether it can be run at all, before it is."""

from __future__ import annotations

import errno
import fnmatch
import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from channels_classic.exceptions import LayerUnavailable, UpError
from channels_classic.layers.private.server import find_program
from channels_classic.up.plan import Plan
from channels_classic.up.probe import Findings, Probe

_SETTINGS = """\
    import os

    CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_classic.layers.redis.RedisChannelLayer",
            "CONFIG": {"hosts": [os.environ["REDIS_URL"]]},
            "ROUTING": "project.routing.channel_routing",
        }
    }"""


def prepare(plan: Plan, redis: str | None) -> tuple[Plan, Probe]:
    """The plan with its Redis, and what its settings come to with that; ``UpError``.

    ``redis`` is "private", "settings", a URL, or None: then it is the one that REDIS_URL names or
    the settings have, and a private one for settings that have none.
    """
    redis = redis or os.environ.get("REDIS_URL") or None
    if redis == "private":
        return _with_private(plan)
    plan = replace(plan, redis="" if redis in (None, "settings") else redis)
    try:
        probe = _probe(plan, ask_bus=True)
    except UpError as error:
        if redis is None and "REDIS_URL" in str(error):  # they cannot do without
            return _with_private(plan)
        raise
    if probe.findings.local_only:
        probe.close()
        if redis is None:
            return _with_private(plan)
        raise UpError(_ignored(probe.findings))
    if probe.findings.bus:
        probe.close()
        raise UpError(
            f"The channel layer does not answer: {probe.findings.bus}. Start its Redis, or choose "
            "another one with --redis URL; --redis private starts one for this site alone"
        )
    return plan, probe


def _with_private(plan: Plan) -> tuple[Plan, Probe]:
    try:
        plan = replace(plan, redis=None, redis_program=find_program())
    except LayerUnavailable as error:
        raise UpError(f"{error}. Or name a Redis that runs, with --redis URL") from error
    probe = _probe(plan, ask_bus=False)
    if probe.findings.hosts != [plan.redis_url]:
        probe.close()
        raise UpError(_ignored(probe.findings))
    return plan, probe


def _probe(plan: Plan, *, ask_bus: bool) -> Probe:
    return Probe(
        plan.target,
        python=plan.python,
        folder=plan.folder,
        environment=plan.environment,
        ask_bus=ask_bus,
    )


def _ignored(found: Findings) -> str:
    where = f" at {', '.join(found.hosts)}" if found.hosts else ", within one process"
    return (
        "The settings do not use the Redis that the environment variable REDIS_URL names: the "
        f"channel layer is {found.layer}{where}. Write into them:\n\n{_SETTINGS}\n"
    )


# What would not work ----------------------------------------------------------------------


def check(plan: Plan, found: Findings) -> None:
    """``UpError`` for what the settings do not have."""
    if plan.delay and not found.has_delay:
        raise UpError('--delay needs "channels_classic.delay" in INSTALLED_APPS')
    if plan.metrics and find_spec("prometheus_client") is None:
        raise UpError("--metrics needs prometheus_client: pip install 'channels-classic[metrics]'")
    left = set(found.channels)
    for group in plan.groups:
        matching = {
            c for c in found.channels if any(fnmatch.fnmatchcase(c, g) for g in group.globs)
        }
        if not matching:
            raise UpError(
                f"No channel matches {', '.join(group.globs)} of the group {group.name}; the "
                f"routing has {', '.join(found.channels) or 'none'}"
            )
        left -= matching
    if plan.workers and not left and found.channels:
        raise UpError("The groups read all channels: add --workers 0")


def check_place(plan: Plan) -> None:
    """``UpError`` when somebody listens where the server is to."""
    if plan.unix_socket:
        folder = (plan.folder / plan.unix_socket).parent
        if not folder.is_dir():
            raise UpError(f"The folder of the UNIX socket is not there: {folder}")
        return
    try:
        found = socket.getaddrinfo(plan.host, plan.port, type=socket.SOCK_STREAM)
        family, kind, _, _, address = found[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        hint = "another one with --port"
        if error.errno == errno.EADDRINUSE:
            raise UpError(f"Port {plan.port} of {plan.host} is taken: choose {hint}") from error
        raise UpError(f"Cannot listen on {plan.host}, port {plan.port}: {error}") from error


def warnings(plan: Plan, found: Findings) -> Iterator[str]:
    """What will not keep the site from starting."""
    if found.database:
        yield f"The database cannot be used: {found.database}"
    if found.unapplied:
        yield (
            f"{found.unapplied} migrations are not applied: "
            f"{_shown(plan.python)} {_shown(plan.folder / plan.manage)} migrate"
        )
    if os.geteuid() == 0 and plan.user is None:
        yield "Everything runs as root: on a real machine give the site a user of its own"


def _shown(path: str | Path) -> str:
    """A path as short as it may be, seen from the current folder."""
    relative = os.path.relpath(path)
    return relative if len(relative) < len(str(path)) else str(path)
