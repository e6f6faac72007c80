"""A project written for Channels 1, brought to channels_classic by its own command, and started."""

from __future__ import annotations

import http.client
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.acceptance.conftest import COMMANDS
from tests.acceptance.processes import Process, free_port

PROJECTS = Path(__file__).parent / "old_projects"
SESSION = """
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore

user, _ = User.objects.get_or_create(username={name!r}, is_staff={staff!r})
session = SessionStore()
session[SESSION_KEY] = str(user.pk)
session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
session[HASH_SESSION_KEY] = user.get_session_auth_hash()
session.save()
print("session", user.pk, session.session_key)
"""


class OldSite:
    """A copy in ``folder`` of the project at ``source``, and the processes started from it."""

    def __init__(self, source: Path, folder: Path, redis_url: str) -> None:
        self.name = source.name
        self.folder = folder / self.name
        self.port = free_port()
        self.env = {"REDIS_URL": redis_url}
        self.processes: list[Process] = []
        self.users: dict[str, int] = {}
        shutil.copytree(source, self.folder, ignore=shutil.ignore_patterns("__pycache__"))

    # Commands -------------------------------------------------------------------------

    def start(self, *command: str | Path) -> Process:
        log = self.folder.parent / f"{len(self.processes)}.log"
        process = Process(command, log=log, cwd=self.folder, env=self.env)
        self.processes.append(process)
        return process.start()

    def run(self, *command: str | Path, status: int = 0) -> str:
        process = self.start(*command)
        assert process.wait(60) == status, process.report()
        return process.output()

    def manage(self, *arguments: str) -> str:
        return self.run(sys.executable, "manage.py", *arguments)

    def shell(self, code: str) -> str:
        """What ``code`` prints in Django's shell."""
        return self.manage("shell", "-v", "0", "-c", code)

    def migrate(self) -> None:
        """Channels 1 becomes channels_classic, and the database is made."""
        self.run(COMMANDS / "channels-classic", "migrate", ".")
        self.manage("migrate", "--run-syncdb", "--verbosity", "0")

    # Processes ------------------------------------------------------------------------

    def serve(self, mode: str) -> None:
        """Serve the site in one process, or in one for each duty."""
        if mode == "runserver":
            address = f"127.0.0.1:{self.port}"
            server = self.start(sys.executable, "manage.py", "runserver", "--noreload", address)
        else:
            for _ in range(2):
                self.worker("runworker")
            command = COMMANDS / "channels-classic"
            target = f"{self.name}.asgi:channel_layer"
            server = self.start(command, "server", target, "-p", str(self.port))
        server.wait_for_port(self.port)

    def worker(self, command: str) -> None:
        self.start(sys.executable, "manage.py", command).wait_for_line("Channels: ")

    def stop(self) -> None:
        for process in self.processes:
            process.stop()

    # Clients --------------------------------------------------------------------------

    def log_in(self, name: str, *, staff: bool = False) -> dict[str, str]:
        """The headers of a browser in which the user ``name``, made if need be, is logged in."""
        printed = self.shell(SESSION.format(name=name, staff=staff))
        _, key, session = next(
            line for line in printed.splitlines() if line.startswith("session ")
        ).split()
        self.users[name] = int(key)
        return {"Cookie": f"sessionid={session}", "Origin": f"http://127.0.0.1:{self.port}"}

    def socket(self, path: str, headers: dict[str, str] | None = None) -> ClientConnection:
        return connect(f"ws://127.0.0.1:{self.port}{path}", additional_headers=headers)

    def request(self, method: str, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()


def tell(socket: ClientConnection, **content: Any) -> None:
    """Send ``content`` as JSON."""
    socket.send(json.dumps(content))


def told(socket: ClientConnection) -> Any:
    """The next frame, which holds JSON."""
    return json.loads(socket.recv(timeout=10))
