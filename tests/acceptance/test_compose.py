"""deploy/compose without its engine: each command as it stands, as a process of this machine."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml
from websockets.sync.client import ClientConnection, connect

from tests.acceptance.processes import Process, free_port, wait_until

#: A database is made, and all the site's processes are started.
pytestmark = pytest.mark.timeout(400)

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "deploy" / "compose"
BIN = Path(sys.executable).parent


class Composed:
    """The services of the file, under the names that they have there."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.services = yaml.safe_load((COMPOSE / "compose.yml").read_text())["services"]
        self.ports = {name: free_port() for name in ("proxy", "wsgi", "asgi", "redis", "db")}
        self._stack = stack
        #: What is said in the file, and what it is here.
        self._places = {
            "0.0.0.0:8001": f"127.0.0.1:{self.ports['wsgi']}",
            "--bind 0.0.0.0 --port 8000": f"--bind 127.0.0.1 --port {self.ports['asgi']}",
            "--proxy-headers 172.30.90.0/24": "--proxy-headers 127.0.0.1",
            "redis-server": f"redis-server --port {self.ports['redis']} --dir {folder}",
            "redis://redis:6379": f"redis://127.0.0.1:{self.ports['redis']}",
            "/srv/var": str(folder / "var"),
            "asgi:8000;": f"127.0.0.1:{self.ports['asgi']};",
            "wsgi:8001;": f"127.0.0.1:{self.ports['wsgi']};",
            "listen 9000;": f"listen 127.0.0.1:{self.ports['proxy']};",
            "/etc/nginx/channels/": f"{COMPOSE}/",
        }

    def here(self, text: str) -> str:
        """What is said in the file, with the places of this machine."""
        for old, new in self._places.items():
            text = text.replace(old, new)
        return text

    def environment(self, name: str) -> dict[str, str]:
        found = {k: self.here(str(v)) for k, v in self.services[name]["environment"].items()}
        secrets = {"POSTGRES_PASSWORD": "secret", "SECRET_KEY": "s" * 50}
        database = {"POSTGRES_HOST": "127.0.0.1", "POSTGRES_PORT": str(self.ports["db"])}
        names = {"ALLOWED_HOSTS": "localhost"}
        path = {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
        return {**found, **secrets, **database, **names, **path}

    def start(self, name: str, log: str = "") -> Process:
        """Run the command of a service in the background, until the test is over."""
        service = self.services[name]
        command = shlex.split(self.here(service["command"]))
        env = self.environment(name) if name != "redis" else None
        process = Process(
            command, log=self.folder / f"{log or name}.log", env=env, cwd=ROOT / "workers"
        )
        return self._stack.enter_context(process)

    def start_database(self) -> None:
        """PostgreSQL, which will not run as root: the user of Debian's package does then."""
        [programs, *_] = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
        folder = self.folder / "db"
        folder.mkdir()
        (self.folder / "password").write_text("secret")
        as_other: list[str] = []
        if os.geteuid() == 0:
            as_other = ["runuser", "-u", "postgres", "--"]
            shutil.chown(folder, "postgres")
            self.folder.chmod(0o755)
        options = ["--auth=scram-sha-256", f"--pwfile={self.folder}/password", "--no-sync"]
        command = [*as_other, programs / "initdb", "-D", folder, "-U", "postgres", *options]
        subprocess.run(command, check=True, timeout=60, stdout=subprocess.DEVNULL)
        where = ["-p", str(self.ports["db"]), "-h", "127.0.0.1", "-k", folder, "-F"]
        process = Process(
            [*as_other, programs / "postgres", "-D", folder, *where], log=self.folder / "db.log"
        )
        self._stack.enter_context(process).wait_for_port(self.ports["db"])

    def start_proxy(self) -> None:
        """nginx with the site file, inside a main file as the image has it."""
        site = self.folder / "site.conf"
        site.write_text(self.here((COMPOSE / "site.conf").read_text()))
        places = "".join(
            f"{kind}_temp_path {self.folder}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        main = self.folder / "nginx.conf"
        main.write_text(
            f"daemon off; pid {self.folder}/nginx.pid; error_log stderr;\n"
            f"{'user root;' if os.geteuid() == 0 else ''}\n"
            "events { worker_connections 512; }\n"
            "http { include /etc/nginx/mime.types; access_log off;\n"
            f"{places} include {site}; }}\n"
        )
        process = Process(["nginx", "-c", str(main)], log=self.folder / "nginx.log")
        self._stack.enter_context(process).wait_for_port(self.ports["proxy"])

    # What a visitor does --------------------------------------------------------------------

    def open(self, path: str, *, data: bytes | None = None, **headers: str) -> Any:
        request = urllib.request.Request(
            f"http://localhost:{self.ports['proxy']}{path}", data=data, headers=headers
        )
        return urllib.request.urlopen(request, timeout=60)

    def text(self, path: str, **options: Any) -> str:
        with self.open(path, **options) as answer:
            return str(answer.read().decode())

    def is_healthy(self) -> bool:
        """What the health check of the server says."""
        mark, *words = self.services["asgi"]["healthcheck"]["test"]
        assert mark == "CMD"
        words = [w.replace(":8000", f":{self.ports['asgi']}") for w in words]
        env = self.environment("asgi")
        done = subprocess.run(words, env=env, capture_output=True, timeout=60, check=False)
        return done.returncode == 0

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def socket(self, path: str) -> ClientConnection:
        return connect(f"ws://localhost:{self.ports['proxy']}{path}", open_timeout=60)


@pytest.fixture(scope="module")
def site() -> Iterator[Composed]:
    """All of it, up."""
    with tempfile.TemporaryDirectory(prefix="compose-") as name, ExitStack() as stack:
        site = Composed(Path(name), stack)
        site.start("redis").wait_for_port(site.ports["redis"])
        site.start_database()
        setup = site.start("setup")
        assert setup.wait(120) == 0, setup.report()
        site.start("asgi")
        site.start("wsgi").wait_for_port(site.ports["wsgi"])
        for number in range(site.services["worker"]["deploy"]["replicas"]):
            site.start("worker", f"worker-{number}").wait_for_line("Channels: ")
        wait_until(site.is_healthy, 60, "the health check of the server")
        site.start_proxy()
        yield site


def test_pages_come_from_the_wsgi_server_and_static_files_from_the_proxy(site: Composed) -> None:
    assert "<h1" in site.text("/counter/")
    with site.open("/static/site/site.css") as answer:
        assert answer.headers["Content-Type"] == "text/css"
        assert answer.headers["Expires"]
    assert '"GET /' not in site.log("asgi")


def test_a_button_that_is_pressed_counts_on_each_open_page(site: Composed) -> None:
    with site.socket("/counter/") as one, site.socket("/counter/") as other:
        stored = [json.loads(each.recv(timeout=60))["value"] for each in (one, other)]
        assert stored[0] == stored[1] == json.loads(site.text("/api/counter/"))["value"]
        assert json.loads(site.text("/api/counter/increment/", data=b"")) == {
            "value": stored[0] + 1
        }
        for each in (one, other):
            assert json.loads(each.recv(timeout=60))["value"] == stored[0] + 1
    assert "WSCONNECT /counter/" in site.log("asgi")


def test_an_event_stream_comes_from_the_interface_server(site: Composed) -> None:
    with site.open("/headlines/") as answer:
        cookie = answer.headers["Set-Cookie"].partition(";")[0]
    with site.open("/headlines/stream/", Accept="text/event-stream") as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        token = {"Cookie": cookie, "X-CSRFToken": cookie.partition("=")[2]}
        with site.open("/headlines/", data=b"text=Bus+arrives", **token) as answer:
            assert answer.status == 204
        wait_until(lambda: b"Bus arrives" in stream.readline(), 60, "the headline")


def test_the_database_holds_what_is_counted(site: Composed) -> None:
    value = json.loads(site.text("/api/counter/"))["value"]
    query = "SELECT sum(value) FROM counter_counter"
    script = f"import psycopg; print(psycopg.connect().execute('{query}').fetchone()[0])"
    env = {"PGHOST": "127.0.0.1", "PGPORT": str(site.ports["db"]), "PGPASSWORD": "secret"}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **env, "PGUSER": "postgres"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert int(done.stdout) == value


def test_the_probes_are_not_for_the_world(site: Composed) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404"):
        site.open("/-/readyz")
