"""What a site's settings come to, found by a process that imports them; run as a module."""

from __future__ import annotations

import itertools
import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import textwrap
import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import click
from django.apps import apps
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.migrations.executor import MigrationExecutor

from channels_classic import conf
from channels_classic.asgi import channel_layers, is_local_only
from channels_classic.cli_target import layer_of, load
from channels_classic.exceptions import LayerUnavailable, UpError
from channels_classic.layers.base import BaseChannelLayer
from channels_classic.layers.ledger import Ledger
from channels_classic.utils import name_that_thing

#: How long the settings of a site may take to be imported, in seconds.
PATIENCE = 60.0
#: Of what an import fails with, so many frames are shown.
_FRAMES = 5


@dataclass(frozen=True)
class Findings:
    """What there was to see."""

    #: The class of the channel layer, and where it has its Redis.
    layer: str
    local_only: bool
    hosts: list[str] = field(default_factory=list)
    #: The channels that the routing names.
    channels: list[str] = field(default_factory=list)
    ready_path: str = "/-/readyz"
    #: Whether the app is installed that a delay worker needs.
    has_delay: bool = False
    #: Migrations that are not applied; what is wrong with the database if they cannot be seen.
    unapplied: int = 0
    database: str = ""
    #: Why the bus does not answer, when it was asked.
    bus: str = ""


#: The pids of the processes on the bus that run on this machine, by "server" and "worker".
Announced = dict[str, set[int]]


class Probe:
    """A process that has imported the site at ``target`` in ``environment``, and looks at its bus.

    ``findings`` is what it has seen. Raises ``UpError`` with what the import fails with.
    """

    def __init__(
        self,
        target: str,
        *,
        python: str,
        folder: Path,
        environment: Mapping[str, str],
        ask_bus: bool = False,
        timeout: float = PATIENCE,
    ) -> None:
        env = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
        self._said = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115
        self._popen = subprocess.Popen(
            [python, "-m", "channels_classic.up.probe", target, *(["ask"] if ask_bus else [])],
            cwd=folder,
            env={**env, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
        )
        answer = self._answer(timeout)
        if answer is None:
            said = self.close().strip() or "it says nothing"
            raise UpError(f"The site cannot be loaded:\n\n{textwrap.indent(said, '    ')}\n")
        self.findings = Findings(**answer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def announced(self) -> Announced | None:
        """The processes on the bus; None when this layer cannot tell, or does not answer."""
        assert self._popen.stdin is not None
        try:
            self._popen.stdin.write("who\n")
            self._popen.stdin.flush()
        except OSError:
            return None
        answer = self._answer(PATIENCE)
        return answer and {kind: set(pids) for kind, pids in answer.items()}

    def close(self) -> str:
        """End the process; what it has said."""
        self._popen.kill()
        self._popen.communicate()
        with self._said:
            self._said.seek(0)
            return self._said.read()

    def _answer(self, timeout: float) -> Any:
        """Its next line; None when there is none in time."""
        assert self._popen.stdout is not None
        ready, _, _ = select.select([self._popen.stdout], [], [], timeout)
        line = self._popen.stdout.readline() if ready else ""
        return json.loads(line) if line else None


# In the process that imports it ----------------------------------------------------------


def main(target: str, ask_bus: bool) -> int:
    """Print the findings, and whenever asked who is there; the site itself prints elsewhere."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        layer = layer_of(load(target), target)
        found = _find(layer, ask_bus=ask_bus)
    except click.ClickException as error:
        if error.__cause__ is not None:
            traceback.print_exception(error.__cause__, limit=-_FRAMES)
        print(error.format_message(), file=sys.stderr)  # noqa: T201
        return 1
    for answer in itertools.chain([asdict(found)], (_announced(layer) for _ in sys.stdin)):
        print(json.dumps(answer), file=answers, flush=True)
    return 0


def _find(layer: BaseChannelLayer, *, ask_bus: bool) -> Findings:
    unapplied, database = _migrations()
    return Findings(
        layer=name_that_thing(type(layer)),
        local_only=is_local_only(type(layer)),
        hosts=[shard.node.name for shard in getattr(layer, "shards", ())],
        channels=_channels(layer),
        ready_path=conf.server_options().get("ready_path", Findings.ready_path),
        has_delay=apps.is_installed("channels_classic.delay"),
        unapplied=unapplied,
        database=database,
        bus=_bus(layer) if ask_bus else "",
    )


def _bus(layer: BaseChannelLayer) -> str:
    """Why the bus does not answer; "" if it does."""
    try:
        layer.global_statistics()
    except LayerUnavailable as error:
        return str(error)
    except NotImplementedError:  # a layer of others: only its users will see
        pass
    return ""


def _announced(layer: BaseChannelLayer) -> dict[str, list[int]] | None:
    """The pids of the processes on the bus that run on this machine, by their kind."""
    if type(layer.ledger) is Ledger:
        return None
    found: dict[str, list[int]] = {"server": [], "worker": []}
    try:
        reports = layer.ledger.census().reports.values()
    except LayerUnavailable:
        return found
    for report in reports:
        if report.get("host") == socket.gethostname():
            found.setdefault(str(report.get("kind")), []).append(report.get("pid", 0))
    return found


def _channels(layer: BaseChannelLayer) -> list[str]:
    for wrapper in channel_layers.backends.values():
        if wrapper.channel_layer is layer:
            return sorted(wrapper.router.channels)
    return []


def _migrations() -> tuple[int, str]:
    """How many are not applied to the default database, or what is wrong with that."""
    if not settings.DATABASES.get(DEFAULT_DB_ALIAS, {}).get("ENGINE"):
        return 0, ""
    try:
        executor = MigrationExecutor(connections[DEFAULT_DB_ALIAS])
        return len(executor.migration_plan(executor.loader.graph.leaf_nodes())), ""
    except Exception as error:  # whatever the project's database engine raises
        return 0, f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], "ask" in sys.argv[2:]))
