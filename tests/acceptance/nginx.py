"""nginx in front of a site: Debian's, with a file of deploy/nginx as it stands but for names."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection

from tests.acceptance.processes import Process, free_port
from tests.acceptance.visitor import Visitor
from tests.certificates import make_certificate

CONFIGS = Path(__file__).parents[2] / "deploy" / "nginx"
#: What a browser on this machine says of itself.
HOST = "localhost"


class Nginx:
    """``config``.conf in ``folder``, in front of a server and of a WSGI server for the pages."""

    def __init__(self, folder: Path, config: str, *, server_port: int, pages_port: int = 0) -> None:
        self.folder = folder
        self.config = config
        self.port, self.plain_port = free_port(), free_port()
        self._places = {"127.0.0.1:8000;": server_port, "127.0.0.1:8001;": pages_port}
        log = folder / "nginx.log"
        self.process = Process(["nginx", "-c", str(self._nginx_conf())], log=log)

    def start(self) -> None:
        """Start it, and wait until it listens."""
        self.process.start().wait_for_port(self.port)

    def stop(self) -> None:
        """End it."""
        self.process.stop()

    def _nginx_conf(self) -> Path:
        """A main file around the site file, as Debian's is around those of sites-enabled."""
        own = self.folder / "channels"
        shutil.copytree(CONFIGS, own)
        certificate, key = make_certificate(self.folder)
        static = self.folder / "static"
        static.mkdir()
        (static / "site.css").write_text("body { color: black }")
        text = (own / f"{self.config}.conf").read_text()
        for old, new in {
            "/etc/nginx/channels/": f"{own}/",
            **{old: f"127.0.0.1:{port};" for old, port in self._places.items()},
            "listen 80;": f"listen 127.0.0.1:{self.plain_port};",
            "listen 443 ssl http2;": f"listen 127.0.0.1:{self.port} ssl http2;",
            "www.example.com;": f"{HOST};",
            "/etc/ssl/certs/www.example.com.pem": str(certificate),
            "/etc/ssl/private/www.example.com.key": str(key),
            "/srv/site/static/": f"{static}/",
        }.items():
            assert old in text or "8001" in old, f"{self.config}.conf has no {old}"
            text = text.replace(old, new)
        (own / f"{self.config}.conf").write_text(text)
        places = "".join(
            f"{kind}_temp_path {self.folder}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        main = self.folder / "nginx.conf"
        user = "user root;" if os.geteuid() == 0 else ""
        main.write_text(
            f"daemon off; pid {self.folder}/nginx.pid; error_log stderr; {user}\n"
            "events { worker_connections 512; }\n"
            "http { include /etc/nginx/mime.types; access_log off;\n"
            f"{places} include {own}/{self.config}.conf; }}\n"
        )
        return main

    # Clients ------------------------------------------------------------------------------

    def curl(self, path: str, *options: str) -> tuple[dict[str, str], bytes]:
        """What curl gets by TLS: what it says of the answer, and the body."""
        said = "%{http_version} %{http_code} %{content_type}"
        command = ["curl", "--silent", "--show-error", "--cacert", str(self.folder / "cert.pem")]
        command += ["--max-time", "60", "--write-out", f"\n{said}", *options]
        command += [f"https://{HOST}:{self.port}{path}"]
        done = subprocess.run(command, capture_output=True, timeout=90, check=True)
        body, _, last = done.stdout.rpartition(b"\n")
        version, status, kind = last.decode().split(" ", 2)
        return {"version": version, "status": status, "type": kind}, body

    def socket(self, path: str = "/echo/", **options: Any) -> ClientConnection:
        """A WebSocket by TLS."""
        return Visitor(self.url, self.context).socket(path, **{"origin": None, **options})

    @property
    def url(self) -> str:
        """Where the site is."""
        return f"https://{HOST}:{self.port}"

    @property
    def context(self) -> ssl.SSLContext:
        """Believes our certificate.

        Not by TLS 1.3: one thread of the WebSocket client reads its session tickets while another
        one writes, which before Python 3.13 makes a connection hang now and then.
        """
        context = ssl.create_default_context(cafile=str(self.folder / "cert.pem"))
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        return context
