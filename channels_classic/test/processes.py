"""The processes of a live test, as the test sees them: started, ready, and ended for certain."""

from __future__ import annotations

import contextlib
import os
import pickle
import selectors
import subprocess
import sys
import tempfile
import time
from typing import Any, ClassVar

from django.conf import UserSettingsHolder, global_settings, settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connections

#: How long a process may take to finish what it does, in seconds.
GRACE = 10.0


class LiveProcess:
    """One process, which runs the function at the dotted path ``target`` with ``options``.

    The function is given the options and a callable ``ready``, to be called with a text once the
    process does its work, and runs until SIGTERM. It ends with the process of the test, however
    that ends.
    """

    target: ClassVar[str]
    #: How long it may take until it is ready, in seconds.
    timeout: ClassVar[float] = 60.0

    def __init__(self, **options: Any) -> None:
        self.options = options
        self._process: subprocess.Popen[bytes] | None = None
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop()
        self._ready = -1

    def start(self) -> None:
        """Start it with the settings and the databases of this moment; it may not be ready yet.

        Raises ``ImproperlyConfigured`` for an overridden setting that cannot be handed over.
        """
        order = pickle.dumps(
            {
                "settings": overridden_settings(),
                "databases": {each.alias: each.settings_dict["NAME"] for each in connections.all()},
                "target": self.target,
                "options": self.options,
            }
        )
        self._ready, theirs = os.pipe()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "channels_classic.test.live", str(theirs)],
                stdin=subprocess.PIPE,
                stdout=self._output,
                stderr=self._output,
                pass_fds=[theirs],
                env=_environment(),
            )
        finally:
            os.close(theirs)
        stdin = self._process.stdin
        if stdin is not None:  # it stays open: the process ends when it closes
            with contextlib.suppress(BrokenPipeError):
                stdin.write(order)
                stdin.flush()

    def wait(self) -> str:
        """What it says when it is ready; ``RuntimeError`` with its output when it is not."""
        end = time.monotonic() + self.timeout
        said = b""
        with selectors.DefaultSelector() as selector:
            selector.register(self._ready, selectors.EVENT_READ)
            while not said.endswith(b"\n"):
                part = b""
                if selector.select(max(0.0, end - time.monotonic())):
                    part = os.read(self._ready, 1000)
                if not part:
                    raise RuntimeError(self._failure(end))
                said += part
        return said.decode().strip()

    def _failure(self, end: float) -> str:
        late = time.monotonic() >= end
        what = f"is not ready after {self.timeout:g} s" if late else "has not started"
        return f"{type(self).__name__} {what}. Its output:\n{self.output()}"

    def output(self) -> str:
        """All it has written so far, to stdout and stderr."""
        size = os.fstat(self._output.fileno()).st_size
        return os.pread(self._output.fileno(), size, 0).decode(errors="replace")

    def ask_to_stop(self) -> None:
        """Tell it to finish what it does, and to end."""
        if self._process is not None:
            self._process.terminate()

    def stop(self) -> None:
        """End it, started or not: it may finish what it does, for ``GRACE`` seconds at most."""
        if self._output.closed:
            return
        self.ask_to_stop()
        if self._process is not None:
            _end(self._process)
            os.close(self._ready)
        if output := self.output():
            sys.stderr.write(f"{type(self).__name__}:\n{output}")
        self._output.close()


class LiveServerProcess(LiveProcess):
    """The interface server on ``host``; says the number of its port."""

    target = "channels_classic.test.live.serve"


class LiveWorkerProcess(LiveProcess):
    """A worker with so many ``threads``; ``serve_static`` says whether it serves static files."""

    target = "channels_classic.test.live.work"


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(GRACE)
    process.kill()
    process.wait()
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()


def _environment() -> dict[str, str]:
    """For a process that finds the same modules, and the same settings module."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    if module := _module_of(_holders()[0]):
        environment["DJANGO_SETTINGS_MODULE"] = module
    return environment


def overridden_settings() -> dict[str, bytes]:
    """The settings that are not as the settings module has them, each one pickled."""
    holders = _holders()
    module = sys.modules.get(_module_of(holders[0]))
    values = {name: value for holder in holders for name, value in vars(holder).items()}
    overridden = {}
    for name in filter(str.isupper, values):
        value = values[name]
        original = getattr(module, name, getattr(global_settings, name, None))
        if name != "SETTINGS_MODULE" and value is not original and value != original:
            overridden[name] = _pickled(name, value)
    return overridden


def _holders() -> list[Any]:
    """What holds settings: the module's, or Django's own, and above it what overrides them.

    Read there, settings give no warning, and are as they were written.
    """
    holders: list[Any] = [vars(settings)["_wrapped"]]
    while isinstance(holders[0], UserSettingsHolder):
        holders.insert(0, holders[0].default_settings)
    return holders


def _module_of(holder: Any) -> str:
    """The settings module; empty when the settings were configured without one."""
    return getattr(holder, "SETTINGS_MODULE", None) or ""


def _pickled(name: str, value: Any) -> bytes:
    try:
        return pickle.dumps(value)
    except Exception as error:
        raise ImproperlyConfigured(
            f"the setting {name} is overridden, and the processes of a live test cannot be "
            f"told what it is: {error}. Use what can be imported, such as dotted paths"
        ) from error
